"""`glassgpt verify`: damage of a run, and the remedy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from glassgpt.checkpoint import RunHealth, StepHealth, verify_run
from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.language import _
from glassgpt.units import data_size


def verify(run: Path, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Check every checkpoint of a run for damage.

    Reads every byte and changes nothing. Exit codes: 0 for no damage, 1 for damage with a usable checkpoint,
    2 for no usable checkpoint.

    Parameters
    ----------
    run
        Folder of a run.
    json
        Print the findings as JSON.
    """
    health = verify_run(run)
    if json:
        print_json(health.to_dict(), indent=1)
    else:
        _show(health, Terminal())
    if health.code:
        sys.exit(health.code)


def _show(health: RunHealth, console: Terminal) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for step in health.steps:
        table.add_row(
            _mark(step.ok),
            step.path.name,
            data_size(step.n_bytes) if step.n_bytes else "",
            Text(_remark(step, health)),
        )
    for problem in (*health.fatal, *health.problems):
        table.add_row(_mark(False), _("the run"), "", Text(_(problem)))
    console.table(table)
    if health.stale_files:
        console.print(_("\nleft over:"), style="dim")
    for left in health.stale_files:
        console.say(f"  {_(left)}")
    console.print(f"\n{_(health.sentence)}")


def _remark(step: StepHealth, health: RunHealth) -> str:
    if step.problem is not None:
        return _(step.problem).removeprefix(f"{step.path}/")
    best = _("the best; ") if step.path.name == health.best else ""
    return best + (_("whole") if step.resumable else _("whole; weights only"))


def _mark(ok: bool) -> Text:
    return Text("✓", "green") if ok else Text("✗", "bold red")
