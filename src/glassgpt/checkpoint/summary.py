"""The state of a run in a few fields: for `glassgpt runs`, a web page or a script.

A summary reads names, sizes and small files, never tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from glassgpt.checkpoint.lock import is_locked
from glassgpt.checkpoint.run import Run
from glassgpt.checkpoint.store import steps
from glassgpt.checkpoint.verify import quick_check
from glassgpt.config import ModelConfig
from glassgpt.data import LEAK_NOTE
from glassgpt.diagnose import Accuracy, Score, Verdict
from glassgpt.errors import UserError
from glassgpt.safe_io import read_json

State = Literal["finished", "trains now", "stopped", "no checkpoints", "weights only", "unreadable"]
LARGEST = 1e15
"""Figures beyond this in metrics.jsonl are ignored: glassgpt does not write them."""


@dataclass(frozen=True)
class RunSummary:
    """State, model and result of a run. If it is unreadable, only `problem` is set."""

    path: Path
    state: State
    problem: str = ""
    """The reason, if config.json is unreadable."""
    sources: tuple[str, ...] = ()
    """Names of the data's files, without folders."""
    model: str = ""
    """Preset, blocks and width, such as `modern 6×384`; other families come first."""
    n_steps: int = 0
    nats_per_char: float | None = None
    """Lowest validation loss so far."""
    comparison: str = ""
    """Result of the model compared with the best baseline, from the verdict."""
    leak: str = ""
    """Note of the verdict about held-out text that the model has learned from."""
    health: str = ""
    """Result of `quick_check`: `ok`, `no steps`, `2 of 3 damaged`."""
    resumable: bool = False
    """True if training stopped before its verdict, has optimizer state, and no process trains it."""

    @property
    def damaged(self) -> bool:
        """True if `verify_run` would find damage by names and sizes alone."""
        return self.health not in ("ok", "no steps")


def summarize(run: Run) -> RunSummary:
    """Summarize a run. Never raises for a damaged or hostile one.

    So one bad run does not hide the others of a list.
    """
    try:
        config = Run.open(run.path).config()
    except UserError as error:
        return RunSummary(run.path, "unreadable", str(error).splitlines()[0], health="unreadable")
    rows = run.metrics()
    saved = [int(step.name.removeprefix("step-")) for step in steps(run.checkpoints)]
    evals = _figures(rows, "eval", "nats_per_char")
    comparison, leak = _result(run)
    resumable = run.is_resumable() and not is_locked(run.path)
    return RunSummary(
        path=run.path,
        state=_state(run, comparison),
        sources=tuple(Path(source).name for source in config.data.sources),
        model=_describe(config.model),
        n_steps=int(
            max(_figures(rows, "step", "step") or saved, default=0)
        ),  # an imported run has no such rows
        nats_per_char=min(evals, default=None),
        comparison=comparison,
        leak=leak,
        health=quick_check(run),
        resumable=resumable and not run.verdict_file.is_file(),
    )


def _state(run: Run, comparison: str) -> State:
    """Return the state of a readable run."""
    if is_locked(run.path):
        return "trains now"
    if not steps(run.checkpoints):
        return "no checkpoints"
    if comparison:
        return "finished"
    return "stopped" if run.is_resumable() else "weights only"


def _describe(model: ModelConfig) -> str:
    """Return family, preset and size of a model."""
    size = f"{model.preset} {model.n_layer}×{model.n_embd}"
    return {"gpt": size, "bigram": "bigram"}.get(model.family, f"{model.family} {size}")


def _figures(rows: list[dict[str, Any]], event: str, name: str) -> list[float]:
    """Return one figure of all events of a kind."""
    values = [row.get(name) for row in rows if row.get("event") == event]
    return [value for value in values if isinstance(value, int | float) and abs(value) < LARGEST]


def _result(run: Run) -> tuple[str, str]:
    """Return the comparison of the verdict, and its note about a leak; empty without a readable verdict."""
    try:
        verdict = Verdict.from_dict(read_json(run.verdict_file))
        leaks = (note for note in verdict.notes if note.startswith(LEAK_NOTE))
        return _compare(verdict), next(leaks, "")
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return "", ""


def _compare(verdict: Verdict) -> str:
    """Return `-0.312 (trigram)`, the difference in nats per character, or `81.0% exact, tables 12.5%`."""
    model, baselines = verdict.model, verdict.baselines
    if model is None:
        return ""
    if isinstance(model, Accuracy):
        best_share = max(row.share for row in baselines if isinstance(row, Accuracy))
        return f"{model.share:.1%} exact, tables {best_share:.1%}"
    scores = [row for row in baselines if isinstance(row, Score) and row.kind != "compressor"]
    best = min(scores, key=lambda score: score.total_nats)
    return f"{model.nats_per_char - best.nats_per_char:+.3f} ({best.name})"
