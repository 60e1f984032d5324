"""`glassgpt runs`: what has been trained here, and what came of it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassgpt.checkpoint import Run, quick_check, read_json, steps
from glassgpt.cli.view.render import MODEL, printable
from glassgpt.diagnose import AccuracyVerdict, Verdict
from glassgpt.errors import UserError


def runs(folder: Path = Path("runs")) -> None:
    """List the runs in a folder and how they compare with counting.

    Parameters
    ----------
    folder
        Where the runs are.
    """
    found = [Run(path.parent) for path in sorted(folder.glob("*/config.json"))]
    if not found:
        raise UserError(f"no runs in {folder}: make one with `glassgpt train`, or name another folder")
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("run", "text", "model", "steps", "nats/char", "against counting", ""):
        justify = "right" if name in ("steps", "nats/char") else "left"
        table.add_column(name, justify=justify, no_wrap=name in ("run", "nats/char", ""))
    rows = [_row(run) for run in found]
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))  # neither markup nor control characters
    console.print(table)
    if damaged := [run for run, row in zip(found, rows, strict=True) if "✗" in row[-1]]:
        console.print("\ndamaged; see what is left with:", style="dim")
        for run in damaged:
            console.print(f"  glassgpt verify {run.path}", markup=False, highlight=False)
    if stopped := [run for run in found if not run.verdict_file.is_file() and _is_resumable(run)]:
        console.print("\nnot finished; go on with:", style="dim")
        for run in stopped:
            console.print(f"  glassgpt train --resume {run.path}", markup=False, highlight=False)


def _row(run: Run) -> list[str]:
    try:
        config = Run.open(run.path).config()
    except UserError as error:
        return [run.path.name, "", "", "", "", str(error).splitlines()[0], "✗ unreadable"]
    rows = run.metrics()
    saved = [int(step.name.removeprefix("step-")) for step in steps(run.checkpoints)]
    n_steps = max(_figures(rows, "step", "step") or saved, default=0)  # what was imported has no such figures
    evals = _figures(rows, "eval", "nats_per_char")
    verdict = _verdict(run)
    shape = config.model
    size = f"{shape.preset} {shape.n_layer}×{shape.n_embd}"
    model = {"gpt": size, "bigram": "bigram"}.get(shape.family, f"{shape.family} {size}")
    best = f"{min(evals):.3f}" if evals else ""
    sources = ", ".join(Path(source).name for source in config.data.sources)
    if verdict:
        state = "finished"
    else:
        state = "weights only" if saved and not _is_resumable(run) else "stopped"
    return [
        str(run.path),
        sources,
        model,
        f"{n_steps:.0f}",
        best,
        _against_counting(verdict),
        state + _health(run),
    ]


def _is_resumable(run: Run) -> bool:
    """Whether a step holds the state of training; a run that was imported has none."""
    return any((step / "optimizer.safetensors").is_file() for step in steps(run.checkpoints))


def _health(run: Run) -> str:
    """From names and sizes alone: a list must not read gigabytes."""
    health = quick_check(run)
    return {"ok": " ✓", "no steps": ""}.get(health, f" ✗ {health}")


def _figures(rows: list[dict[str, object]], event: str, name: str) -> list[float]:
    """One figure of all events of a kind; lines without it are no events of ours."""
    values = [row.get(name) for row in rows if row.get("event") == event]
    return [value for value in values if isinstance(value, int | float)]


def _verdict(run: Run) -> Verdict | AccuracyVerdict | None:
    try:
        stored = read_json(run.verdict_file)
        found = AccuracyVerdict.from_dict(stored) if "rows" in stored else Verdict.from_dict(stored)
        _against_counting(found)  # a stranger's may lack what is shown of it
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, ArithmeticError):
        return None
    return found


def _against_counting(verdict: Verdict | AccuracyVerdict | None) -> str:
    if verdict is None:
        return ""
    if isinstance(verdict, AccuracyVerdict):
        mine = next(row for row in verdict.rows if row.name == MODEL)
        counted = max(
            (row for row in verdict.rows if not row.name.startswith(MODEL)), key=lambda row: row.share
        )
        return f"{mine.share:.1%} exact, tables {counted.share:.1%}"
    model = next(s for s in verdict.scores if s.name == MODEL)
    counted = min((s for s in verdict.scores if s.name not in (MODEL, "xz")), key=lambda s: s.total_nats)
    difference = model.nats_per_char - counted.nats_per_char
    return f"{difference:+.3f} ({counted.name})"
