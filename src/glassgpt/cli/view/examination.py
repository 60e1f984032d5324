"""An examination in words: the result, each problem, and what was not checked."""

from __future__ import annotations

from rich.padding import Padding
from rich.text import Text

from glassgpt.cli.flags import with_flags
from glassgpt.cli.view.terminal import Terminal
from glassgpt.diagnose import Examination
from glassgpt.language import _


def print_examination(found: Examination, console: Terminal) -> None:
    """Print the findings, serious ones first."""
    console.print(_(found.sentence))
    for each in found.problems:
        first, *rest = map(with_flags, each.lines())
        mark, style = ("✗", "bold red") if each.is_serious else ("!", "yellow")
        console.print()
        console.print(Text(f"{mark} {first}", style))
        for line in rest:
            console.print(Padding(line, (0, 0, 0, 2), expand=False))
    if found.skipped:
        console.print(f"\n{_('could not run')}:", style="dim")
    for name, reason in found.skipped.items():
        console.print(Padding(f"{_(name)}: {_(reason)}", (0, 0, 0, 2), expand=False), style="dim")
