"""Progress on the learning path: nothing is lost, and no fault of the file fails a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from glassgpt.cli.progress import finished_steps, forget_steps, record_step, record_use
from glassgpt.explain import progress, progress_file


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return progress_file()


def test_steps_are_kept_in_order_and_once(file: Path) -> None:
    assert finished_steps() == () and not file.exists()
    for name in ("loss", "scale", "loss"):
        record_step(name)
    assert finished_steps() == ("loss", "scale")
    assert json.loads(file.read_text()) == {"version": 1, "done": ["loss", "scale"]}
    forget_steps()
    assert finished_steps() == ()


@pytest.mark.parametrize(
    ("command", "family", "step"),
    [
        ("sample", "bigram", "bigram"),
        ("look", "gpt", "gpt"),
        ("look", "seq2seq", "dates"),
        ("ask", "captioner", "scenes"),
        ("sample", "gpt", None),
        ("look", "encoder", None),
    ],
)
def test_a_look_at_a_run_completes_its_practice(command: str, family: str, step: str | None) -> None:
    record_use(command, family)
    assert finished_steps() == ((step,) if step else ())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"done": ["loss"]}',
        b'{"version": 2, "done": ["loss"]}',
        b'{"version": 1, "done": [1]}',
        b'{"version": 1, "done": "loss"}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_or_foreign_file_is_renamed(
    file: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file.parent.mkdir()
    for n in (1, 2):
        file.write_bytes(content)
        record_step("loss")
        assert f"it is now learn-{n}.damaged" in capsys.readouterr().err
        assert (file.parent / f"learn-{n}.damaged").read_bytes() == content
        assert finished_steps() == ("loss",)


def test_a_link_is_renamed_and_its_target_stays(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    file.parent.mkdir()
    file.symlink_to(target)
    record_step("loss")
    assert target.read_text() == "mine" and finished_steps() == ("loss",)


def test_a_folder_that_cannot_be_made_costs_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    record_step("loss")
    assert "your progress is not kept" in capsys.readouterr().err
    assert finished_steps() == ()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_read_stays(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_step("loss")
    file.chmod(0)
    record_step("scale")
    assert "Permission denied" in capsys.readouterr().err and not [*file.parent.glob("*.damaged")]
    file.chmod(0o600)
    assert finished_steps() == ("loss",)


def test_a_full_disk_costs_a_note(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record_step("loss")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(progress, "write_json", full)
    record_step("scale")
    assert "No space left on device" in capsys.readouterr().err
    assert finished_steps() == ("loss",)


def test_a_process_that_holds_the_lock_costs_a_note(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record_step("loss")
    monkeypatch.setattr(progress, "WAIT_S", 0.1)
    with FileLock(file.with_name(".learn.lock")):
        record_step("scale")
    assert "your progress is not kept" in capsys.readouterr().err
    assert finished_steps() == ("loss",)


def test_no_step_is_lost_when_processes_write_at_once(file: Path) -> None:
    code = (
        "import sys; from glassgpt.cli.progress import record_step\n"
        "for n in range(20): record_step(sys.argv[1] + str(n))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [each.wait(timeout=120) for each in writers] == [0, 0]
    assert sorted(finished_steps()) == sorted(name + str(n) for name in "ab" for n in range(20))
