"""`glassgpt runs`: list the runs of a folder with their state and result."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from glassgpt.checkpoint import Run, RunSummary, summarize
from glassgpt.cli.view.terminal import Terminal
from glassgpt.errors import UserError, command_line


def runs(folder: Path = Path("runs")) -> None:
    """List the runs in a folder and compare each with its best baseline.

    Parameters
    ----------
    folder
        Folder with the runs.
    """
    found = [summarize(Run(path.parent)) for path in sorted(folder.glob("*/config.json"))]
    if not found:
        raise UserError(f"{folder} has no runs. Make one with `glassgpt train`, or name another folder.")
    console = Terminal()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("run", "text", "model", "steps", "nats/char", "against baselines", ""):
        justify = "right" if name in ("steps", "nats/char") else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name in ("nats/char", ""))
    for run in found:
        table.add_row(*_row(run))
    console.table(table)
    console.notes(f"{run.path}: {run.leak}" for run in found if run.leak)
    _print_commands(console, "damaged; check with:", "verify", [run.path for run in found if run.damaged])
    _print_commands(
        console, "not finished; resume with:", "resume", [run.path for run in found if run.resumable]
    )


def _row(run: RunSummary) -> list[str]:
    if run.state == "unreadable":
        return [run.path.name, "", "", "", "", run.problem, "✗ unreadable"]
    loss = "" if run.nats_per_char is None else f"{run.nats_per_char:.3f}"
    health = {"ok": " ✓", "no steps": ""}.get(run.health, f" ✗ {run.health}")
    return [
        str(run.path),
        ", ".join(run.sources),
        run.model,
        str(run.n_steps),
        loss,
        run.comparison + ", leaked text" * bool(run.leak),
        run.state + health,
    ]


def _print_commands(console: Terminal, title: str, command: str, paths: list[Path]) -> None:
    """Print one command line for each run that needs it."""
    if paths:
        console.print(f"\n{title}", style="dim")
    for path in paths:
        console.say(f"  {command_line(command, path)}")
