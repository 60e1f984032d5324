"""Progress on standard error: a line now and then in a pipe, a bar on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from glassgpt.cli.view import counted as module
from glassgpt.cli.view.counted import counted


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_pipe_gets_a_line_every_ten_seconds(
    seconds: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with counted("measuring", 25) as step:
        for _ in range(25):
            seconds[0] += 1
            step()
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.splitlines() == ["measuring: 10 of 25", "measuring: 20 of 25"]


def test_quick_work_is_silent(seconds: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with counted("measuring", 3) as step:
        for _ in range(3):
            step()
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_how_many_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with counted("measuring", 3) as step:
        step()
        step()
    assert "measuring" in screen.getvalue() and "2/3" in screen.getvalue()
