"""Losses of runs over steps, minutes or tokens, read from metrics.jsonl: for plots and tables.

Works for running, stopped and damaged runs: of the file, what can be read counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Literal, NamedTuple, TypeAlias

from glassgpt.checkpoint.folders import run_folders
from glassgpt.checkpoint.run import Run
from glassgpt.checkpoint.summary import LARGEST, RunSummary, read_verdict, summarize
from glassgpt.diagnose import Accuracy, Score, Verdict
from glassgpt.errors import UserError
from glassgpt.safe_io import read_json

XAxis = Literal["steps", "minutes", "tokens"]
RunLike: TypeAlias = "Run | Path | str"


class Point(NamedTuple):
    """A loss at one moment of a training."""

    steps: int
    minutes: float
    tokens: float
    loss: float
    """Nats per character (of a classifier: per class)."""
    exact: float | None = None
    """Share of exact answers, for tasks with answers."""


@dataclass(frozen=True)
class RunCurve:
    """The curves of a run, and what it is compared with."""

    summary: RunSummary
    training: tuple[Point, ...]
    """Loss of each step's batch."""
    held_out: tuple[Point, ...]
    """Evaluations on the held-out part."""
    verdict: Verdict | None
    baselines: tuple[Score, ...]
    """Counted losses on the same held-out text, without compressors."""
    answers: tuple[Accuracy, ...]
    """Counted answers, for tasks with answers."""

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self.summary.path.name or str(self.summary.path.resolve().name)

    @property
    def n_steps(self) -> int:
        """Number of steps so far."""
        return self.summary.n_steps

    @property
    def minutes(self) -> float | None:
        """Time of training so far."""
        return self.summary.minutes

    @property
    def last_training(self) -> float | None:
        """Mean training loss of the last twentieth of the steps."""
        last = self.training[-max(1, len(self.training) // 20) :]
        return mean(point.loss for point in last) if last else None

    @property
    def best_held_out(self) -> float | None:
        """Lowest held-out loss while training."""
        return min((point.loss for point in self.held_out), default=None)

    @property
    def final_loss(self) -> float | None:
        """Loss of the verdict, if it is a loss."""
        return self.verdict.loss if self.verdict else None

    @property
    def final_exact(self) -> float | None:
        """Share of exact answers of the verdict."""
        model = self.verdict.model if self.verdict else None
        return model.share if isinstance(model, Accuracy) else None


def read_curve(run: Run) -> RunCurve:
    """Read the curves of a run. Raises UserError if config.json cannot be read."""
    Run.open(run.path).config()
    rows, verdict = run.metrics(), read_verdict(run)
    counted = verdict or _baselines(run)
    scores = [*counted.baselines, *counted.losses] if counted else []
    return RunCurve(
        summarize(run),
        *_points(rows),
        verdict,
        tuple(row for row in scores if isinstance(row, Score) and row.kind != "compressor"),
        tuple(row for row in scores if isinstance(row, Accuracy)),
    )


def read_curves(runs: RunLike | Iterable[RunLike]) -> list[RunCurve]:
    """Read the curves of a run, of several, or of a folder with runs; unreadable runs are left out.

    Raises UserError for a path that is no run, and if no run has a curve.
    """
    given = [runs] if isinstance(runs, Run | Path | str) else list(runs)
    found = [curve for each in given for curve in _curves_at(each)]
    if not any(curve.held_out or curve.training for curve in found):
        names = ", ".join(str(each.path if isinstance(each, Run) else each) for each in given)
        raise UserError(
            "{names}: no evaluation yet, so there is no curve. Wait for the first one, or train longer.",
            names=names or "no run",
        )
    return [curve for curve in found if curve.held_out or curve.training]


def _curves_at(place: RunLike) -> list[RunCurve]:
    run = place if isinstance(place, Run) else Run(Path(place))
    inside = [] if run.config_file.is_file() else run_folders(run.path)
    if not inside:
        return [read_curve(run)]
    return [read_curve(each) for each in map(Run, inside) if summarize(each).state != "unreadable"]


def _baselines(run: Run) -> Verdict | None:
    """Return the baselines that were counted at the start; None if they cannot be read."""
    try:
        return Verdict.from_dict(read_json(run.baselines_file))
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return None


def _points(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """Return the points of training and evaluations. A step that was repeated after a kill counts once.

    Training losses are per token; the evaluations tell how many tokens a character has.
    """
    steps = {step: row for row in rows if row.get("event") == "step" and (step := _count(row, "step"))}
    evals = {step: row for row in rows if row.get("event") == "eval" and (step := _count(row, "step"))}
    places: dict[int, tuple[float, float]] = {}
    tokens = minutes = 0.0
    for step in sorted(steps):
        tokens += _number(steps[step], "tokens") or 0.0
        minutes = (_number(steps[step], "elapsed_s") or 60 * minutes) / 60
        places[step] = (minutes, tokens)
    ratio = next(filter(None, map(_tokens_per_char, reversed(evals.values()))), None)
    training = [
        Point(step, *places[step], loss * ratio)
        for step in sorted(steps)
        if ratio and (loss := _number(steps[step], "loss")) is not None
    ]
    held_out = [
        Point(step, *places[step], loss, _number(evals[step], "exact"))
        for step in sorted(evals)
        if step in places and (loss := _number(evals[step], "nats_per_char")) is not None
    ]
    return tuple(training), tuple(held_out)


def _tokens_per_char(row: Mapping[str, Any]) -> float | None:
    per_char, per_token = _number(row, "nats_per_char"), _number(row, "nats_per_token")
    return per_char / per_token if per_char and per_token else None


def _number(row: Mapping[str, Any], name: str) -> float | None:
    """Return a figure that may be drawn; None if it is missing, negative, not finite or no number."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if 0 <= value < LARGEST else None


def _count(row: Mapping[str, Any], name: str) -> int:
    return int(_number(row, name) or 0)
