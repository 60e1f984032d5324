"""Everything printed passes one place: harmless on a terminal, lossless as JSON, quiet when nobody reads."""

from __future__ import annotations

import ast
import io
import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from glassgpt.cli.view import terminal
from glassgpt.cli.view.display import EnduringDisplay, JsonDisplay, PlainDisplay
from glassgpt.cli.view.terminal import Terminal, print_error, print_json, print_note, print_text, printable
from glassgpt.train import Warned

PACKAGE = Path(import_module("glassgpt").__file__ or "").parent
HOSTILE = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\u202eevil\u2066f\u200bg\ufeffh\U000e0041\x7f\udcffi"
PROGRAMS = (
    "explain/lessons/",  # code of the lecture, for the reader to run
    "interop/onnx/programs/",  # written into an export, and run without glassgpt
    "interop/gguf/server.py",  # a process of its own, which prints its address
)
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}


def _prints(tree: ast.AST) -> Iterator[int]:
    """Lines that print, make a console, or use a standard output stream."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print" | "Console")):
                yield node.lineno
            case ast.Attribute(value=ast.Name(id="sys"), attr=attr) if attr in STREAMS:
                yield node.lineno


def test_nothing_is_printed_elsewhere() -> None:
    allowed = {"cli/view/terminal.py", "cli/main.py", "interrupts.py"}  # the last two flush
    allowed.add("train/displays.py")  # the progress of `glassgpt.train(…)`, for people in Python
    found = {
        f"{name}:{line}"
        for path in PACKAGE.rglob("*.py")
        if (name := path.relative_to(PACKAGE).as_posix()) not in allowed and not name.startswith(PROGRAMS)
        for line in _prints(ast.parse(path.read_text("utf-8")))
    }
    assert not found, "print with glassgpt.cli.view.terminal"


def test_the_walk_finds_what_prints() -> None:
    assert list(_prints(ast.parse("print(1)\nConsole()\nsys.stderr.write('')\nconsole.print(1)"))) == [
        1,
        2,
        3,
    ]


def is_safe(text: str) -> bool:
    return printable(text) == text


def test_hostile_text_is_harmless_in_everything_rich_shows() -> None:
    out = io.StringIO()
    console = Terminal(out, 200, is_terminal=False)
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(Text(HOSTILE))
    console.print(Group(Panel(Text(HOSTILE), title=HOSTILE), table), HOSTILE)
    console.table(table)
    console.say(HOSTILE)
    console.notes([HOSTILE])
    shown = out.getvalue()
    assert is_safe(shown) and shown.count("evil") == 13, shown


def test_markup_and_emoji_codes_are_plain_text() -> None:
    out = io.StringIO()
    table = Table()
    table.add_row("[bold]a[/bold] :smile:")
    Terminal(out, 80).print("[red]b[/red]", table)
    assert "[bold]a[/bold] :smile:" in out.getvalue() and "[red]b[/red]" in out.getvalue()


def test_errors_and_notes_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    print_note(HOSTILE)
    print_error(HOSTILE)
    shown = capsys.readouterr().err
    assert is_safe(shown) and shown.count("evil") == 2


@given(st.text(st.characters(codec=None)))
def test_json_is_harmless_and_lossless(text: str) -> None:
    out, before = io.StringIO(), sys.stdout
    sys.stdout = out
    try:
        print_json({text: [text, HOSTILE]})
    finally:
        sys.stdout = before
    assert is_safe(out.getvalue()) and json.loads(out.getvalue()) == {text: [text, HOSTILE]}


def test_json_is_lossless_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "cp1252", errors="replace"))
    print_json({"é": "学"})
    assert json.loads(raw.getvalue()) == {"é": "学"}


def test_model_text_is_exact_in_a_pipe_and_harmless_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_terminal in (False, True):
        out = io.StringIO()
        monkeypatch.setattr(out, "isatty", lambda is_terminal=is_terminal: is_terminal, raising=False)
        monkeypatch.setattr(sys, "stdout", out)
        print_text("a\x1b[2J\u202e")
        assert out.getvalue() == ("a\ufffd[2J\ufffd" if is_terminal else "a\x1b[2J\u202e")


def test_text_that_needs_joiners_stays() -> None:
    for text in ("می‌خواهم", "👩‍🔬", "naïve\tcafé\n"):
        assert printable(text) == text


def test_a_table_in_a_pipe_is_as_wide_as_its_content() -> None:
    table = Table(box=None)
    table.add_column()
    table.add_row("x" * 300)
    for is_terminal in (False, True):
        out = io.StringIO()
        Terminal(out, 80, is_terminal).table(table)
        assert ("x" * 300 in out.getvalue()) != is_terminal


@pytest.mark.parametrize("kind", ["plain", "json"])
def test_training_goes_on_when_nobody_reads(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        display = EnduringDisplay(JsonDisplay() if kind == "json" else PlainDisplay(Terminal()))
        with display:
            display.stage("reading")
            display.show(Warned("nobody reads this"))
    assert capsys.readouterr().err.count("Training goes on") == 1


def test_a_closed_stream_becomes_the_null_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    terminal.prepare_streams()
    assert sys.stdin.read() == ""
    print_text("nobody reads this")
    print_note("nor this")
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()
