"""Starting the lab: ports, folders, a missing extra."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from glassgpt.cli.main import main
from glassgpt.errors import UserError
from glassgpt.lab import open_lab, serve
from helpers.lab_runs import empty_page


@pytest.fixture(autouse=True)
def _page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "page_folder", lambda tell: empty_page(tmp_path / "page"))


def test_it_listens_on_loopback_with_a_new_token_each_time(tmp_path: Path) -> None:
    first, second = open_lab(tmp_path, None), open_lab(tmp_path, None)
    with first.socket, second.socket:
        assert first.socket.getsockname()[0] == "127.0.0.1" and first.port != second.port
        assert first.token != second.token and len(first.token) >= 32 and first.token in first.address


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with open_lab(tmp_path, None).socket as taken:
        with pytest.raises(UserError, match=f"port {taken.getsockname()[1]} is taken"):
            open_lab(tmp_path, taken.getsockname()[1])


def test_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["lab", str(tmp_path / "nowhere")])
    assert end.value.code == 2 and "no such folder" in capsys.readouterr().err


def test_a_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match=r"glassgpt\[lab\]"):
        open_lab(tmp_path, None)


def test_the_heap_is_bounded_before_the_first_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr("glassgpt.cli.commands.lab.use_one_heap", lambda: done.append("heap"))
    monkeypatch.setattr(
        "glassgpt.cli.commands.lab.working", lambda doing: done.append("thread") or nullcontext()
    )
    monkeypatch.setattr(serve.Lab, "serve", lambda lab: lab.socket.close())
    main(["lab", str(tmp_path), "--no-open"])
    assert done == ["heap", "thread"]


def test_the_collector_rests_while_modules_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr("glassgpt.lab.app.make_api", lambda folder, page: seen.append(gc.isenabled()))
    with (lab := open_lab(tmp_path, None)).socket:
        lab._models()
    assert seen == [False] and gc.isenabled() and gc.get_freeze_count() > 0
    gc.unfreeze()


def test_an_answer_that_ctrl_c_cuts_off_is_no_error() -> None:
    def record(text: str, error: BaseException | None) -> logging.LogRecord:
        cause = error and (type(error), error, None)
        return logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, text, (), cause)

    raised = "Exception in ASGI application"
    assert not serve.is_no_cut_answer(record(raised, asyncio.CancelledError()))
    assert not serve.is_no_cut_answer(
        record("Cancel 1 running task(s), timeout graceful shutdown exceeded", None)
    )
    assert serve.is_no_cut_answer(record(raised, ValueError()))
