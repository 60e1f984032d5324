"""Runs on the terminal: one line for each, the less important columns left out where they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from glassgpt.checkpoint import NUMBERS, RunsTable, RunSummary
from glassgpt.cli.view.terminal import Terminal, printable
from glassgpt.errors import command_line
from glassgpt.language import N_, _

STYLES = {
    N_("done"): "green",
    N_("damaged"): "bold red",
    N_("training"): "cyan",
    N_("stopped"): "yellow",
    N_("no checkpoints"): "",
}
WIDEST = 32
"""Columns of the widest cell of a narrow table."""
FIRST = ("run", "loss", "status", "best counted", "seed")
LAST = ("model", "steps", "minutes", "text", "task")
"""Columns in the order in which a narrow table takes them; the options that differ are between the two."""
HEADINGS = {
    "run": N_("run"),
    "status": N_("status"),
    "best counted": N_("best counted"),
    "seed": N_("seed"),
    "model": N_("model"),
    "steps": N_("steps"),
    "minutes": N_("minutes"),
    "text": N_("text"),
    "task": N_("task"),
}
"""Headings of the columns that are no settings."""


def print_runs(found: RunsTable, wide: bool) -> None:
    """Print a table of runs, and the commands for those that need one."""
    console = Terminal()
    wide = wide or not console.is_terminal
    rows = [{name: printable(_(text)) for name, text in row.items()} for row in found.words()]
    common = {} if wide else found.common()
    names = [name for name in rows[0] if name not in common and any(row[name] for row in rows)]
    shown = names if wide else _fitting(found, rows, names, console.width)
    if common:
        console.print(
            _("all: ") + ", ".join(_named(*each) for each in common.items() if each[1]), style="dim"
        )
    console.table(_table(found, rows, shown, wide))
    if left_out := [name for name in names if name not in shown]:
        console.print(
            _(
                "left out: {columns} (see --wide)",
                columns=", ".join(_heading(found, name) for name in left_out),
            ),
            style="dim",
        )
    console.notes(_about(run, run.problem or run.health) for run in found.runs if run.damaged)
    console.notes(_about(run, run.leak) for run in found.runs if run.leak)
    _print_commands(
        console, _("damaged; check with:"), "verify", [run.path for run in found.runs if run.damaged]
    )
    paths = [run.path for run in found.runs if run.resumable]
    _print_commands(console, _("not finished; resume with:"), "resume", paths)


def _named(name: str, value: str) -> str:
    return value if name in ("text", "model") else f"{_(HEADINGS.get(name, name))} {value}"


def _heading(found: RunsTable, name: str) -> str:
    """Return the heading of a column; settings keep their names."""
    return _(found.heading(HEADINGS.get(name, name)))


def _fitting(found: RunsTable, rows: Sequence[dict[str, str]], names: list[str], width: int) -> list[str]:
    """Return the columns that fit into so many cells of a line."""
    sizes = {
        name: max(cell_len(_heading(found, name)), *(min(WIDEST, cell_len(row[name])) for row in rows))
        for name in names
    }
    shown: list[str] = []
    for name in [*FIRST, *found.options, *LAST]:
        if name in names and sum(sizes[each] + 1 for each in [*shown, name]) - 1 <= width:
            shown.append(name)
    return [name for name in names if name in shown]


def _table(found: RunsTable, rows: Sequence[dict[str, str]], names: Sequence[str], wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for name in names:
        justify = "right" if name in NUMBERS else "left"
        most = None if wide else WIDEST
        table.add_column(_heading(found, name), justify=justify, no_wrap=True, max_width=most)
    for row in rows:
        table.add_row(*(_cell(name, row[name]) for name in names))
    return table


def _cell(name: str, text: str) -> Text:
    styles = {_(word): style for word, style in STYLES.items()}
    style = styles.get(text.partition(" ")[0], "") if name == "status" else ""
    return Text(text, style, overflow="ellipsis")


def _about(run: RunSummary, note: str) -> str:
    return _("{name}: {note}", name=run.path, note=_(note))


def _print_commands(console: Terminal, title: str, command: str, paths: list[Path]) -> None:
    """Print one command line for each run that needs it."""
    if paths:
        console.print(f"\n{title}", style="dim")
    for path in paths:
        console.say(f"  {command_line(command, path)}")
