"""Tables and lines of commands in a narrow terminal: the figures stay, longer texts are cut."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from glassgpt.cli.commands.explain import _less_options
from glassgpt.cli.view.learn import print_path
from glassgpt.cli.view.terminal import Terminal
from glassgpt.explain import learning_path
from glassgpt.language import using
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
