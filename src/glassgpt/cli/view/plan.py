"""The settings of a run as a table: value and origin of each."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassgpt.cli.view.render import printable
from glassgpt.config import Setting
from glassgpt.train import Plan


def print_plan(plan: Plan, as_json: bool) -> None:
    """Print every setting of a planned run with its value and origin."""
    settings = list(plan.resolved.settings())
    if as_json:
        rows = {s.name: {"value": s.value, "from": s.origin} for s in settings}
        print(json.dumps({"task": plan.task.name, "settings": rows, "notes": plan.corpus.notes}, indent=1))
        return
    console = Console()
    for note in plan.corpus.notes:
        console.print(f"note: {note}", style="dim", markup=False, highlight=False)
    console.print(settings_table(settings))
    console.print("\nNothing was trained or written. Leave --dry-run out to train.", style="dim")


def settings_table(settings: list[Setting]) -> Table:
    """Return a table of settings, one row each; defaults are dimmed."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for setting in settings:
        style = "dim" if setting.origin == "default" else ""
        value = json.dumps(setting.value, ensure_ascii=False) if setting.value is not None else "–"
        table.add_row(*(Text(printable(cell), style) for cell in (setting.name, value, setting.origin)))
    return table
