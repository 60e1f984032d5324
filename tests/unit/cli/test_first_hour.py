"""Tables, lines and errors of commands, as a newcomer meets them: whole in a narrow terminal, and plain."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from glassgpt.cli.commands.explain import _less_options
from glassgpt.cli.view.learn import print_path
from glassgpt.cli.view.open_run import open_for
from glassgpt.cli.view.terminal import Terminal
from glassgpt.config import Layer
from glassgpt.errors import UserError
from glassgpt.explain import learning_path
from glassgpt.explain.context import BUILTIN
from glassgpt.language import using
from glassgpt.train import plan
from glassgpt.units import duration


def test_the_path_keeps_names_and_times_in_sixty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("glassgpt.cli.view.learn.Terminal", lambda: Terminal(out, 60, is_terminal=False))
    monkeypatch.setattr(Terminal, "table", lambda self, table: self.print(table))
    path = learning_path(done=[])
    print_path(path)
    lines = out.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 60
    for step, line in zip(path, lines[1:], strict=False):
        assert step.name in line.split()[:2] and line.rstrip().endswith(duration(step.seconds))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_pager_names_its_keys(language: str) -> None:
    with using(language):
        options = _less_options()
    assert options.startswith("-FRX -Ps") and options.endswith(" $")
    if language == "en":
        assert r"space\: next page, q\: end" in options


def test_a_command_for_another_model_says_what_the_run_can_do() -> None:
    with pytest.raises(UserError, match=r"is a gpt. It can continue text, but not tell classes apart. Use"):
        open_for("classify", BUILTIN / "text", "cpu")


def test_standard_input_is_read_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b" ")))
    with pytest.raises(UserError, match="standard input"):
        plan([Layer("option", {"data": {"sources": ["-"]}})], said.append)
    assert said[0] == "reading standard input"
