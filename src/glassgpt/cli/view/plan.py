"""The settings of a run as a table: value and origin of each."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.config import DEFAULT, Setting, origin_in_words, setting_in_words
from glassgpt.language import _
from glassgpt.train import Plan


def print_plan(plan: Plan, as_json: bool) -> None:
    """Print every setting of a planned run with its value and origin."""
    settings, notes = list(plan.resolved.settings()), [*plan.notes, *plan.corpus.notes]
    if as_json:
        rows = {s.name: {"value": s.value, "from": s.origin} for s in settings}
        print_json({"task": plan.task.name, "settings": rows, "notes": notes}, indent=1)
        return
    console = Terminal()
    console.notes(notes)
    console.table(settings_table(settings))
    console.print(_("\nNothing was trained or written. Leave --dry-run out to train."), style="dim")


def settings_table(settings: list[Setting]) -> Table:
    """Return a table of settings: first the defaults, dimmed, then everything that was chosen."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(_("setting"), no_wrap=True)
    table.add_column(_("value"), overflow="fold")
    table.add_column(_("from"), overflow="fold")
    for setting in sorted(settings, key=lambda each: each.origin != DEFAULT):
        style = "dim" if setting.origin == DEFAULT else ""
        cells = (setting.name, setting_in_words(setting.value), _(origin_in_words(setting.origin)))
        table.add_row(*(Text(cell, style) for cell in cells))
    return table
