"""Groups of runs whose curves are drawn as one: runs that differ only in their seed, or by a setting."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from statistics import mean, stdev
from string import digits

import numpy as np
from numpy.typing import NDArray

from glassgpt.checkpoint.curves import Point, RunCurve, XAxis
from glassgpt.checkpoint.run import Run
from glassgpt.config import RunConfig, flat_fields
from glassgpt.errors import UserError

WITHOUT_EFFECT = (
    *("evals", "save_minutes", "sample_tokens", "snapshots", "doctor", "threads"),
    *("tensorboard", "trackio", "on_save_error"),
    "seed",
)
"""Settings of training in which runs of a group may differ."""
MAX_POINTS = 200
"""Points of the curve of a group: single batches are noisy."""


@dataclass(frozen=True)
class Spread:
    """A figure of several runs: its mean, and its standard deviation over the seeds.

    >>> str(Spread.of([1.0, 2.0, 3.0])), str(Spread.of([1.5]))
    ('2.000 ± 1.000', '1.500')
    """

    mean: float
    sd: float | None = None
    """None of a single run."""
    n: int = 1

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return mean and standard deviation (with n − 1) of one or more values."""
        return cls(mean(values), stdev(values) if len(values) > 1 else None, len(values))

    def format(self, digits: str, unit: str = "") -> str:
        """Return the figures in a format, such as `.3f`."""
        width = f" ± {self.sd:{digits}}" if self.sd else ""
        return f"{self.mean:{digits}}{width}{unit}"

    def __str__(self) -> str:
        return self.format(".3f")


@dataclass(frozen=True)
class CurveGroup:
    """Runs that are drawn as one curve."""

    label: str
    curves: tuple[RunCurve, ...]

    def held_out(self, x: XAxis) -> Band:
        """Return the held-out losses of the group."""
        return _band([_pairs(curve.held_out, x, "loss") for curve in self.curves])

    def training(self, x: XAxis) -> Band:
        """Return the training losses of the group, as means of neighbors."""
        return _band([_thinned(_pairs(curve.training, x, "loss")) for curve in self.curves])

    def exact(self, x: XAxis) -> Band:
        """Return the shares of exact answers of the group."""
        return _band([_pairs(curve.held_out, x, "exact") for curve in self.curves])

    def spread(self, name: str) -> Spread | None:
        """Return a figure of the runs by the name of its property; None if no run has it."""
        values = [value for curve in self.curves if (value := getattr(curve, name)) is not None]
        return Spread.of(values) if values else None

    def last(self, x: XAxis) -> float:
        """Return the place of the last point of all runs."""
        points = [each[-1] for curve in self.curves for each in (curve.held_out, curve.training) if each]
        return max((float(getattr(point, x)) for point in points), default=0.0)


@dataclass(frozen=True)
class Band:
    """Mean and standard deviation of curves, each (n,); the deviation is 0 for one curve."""

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.x)


def group_curves(curves: Sequence[RunCurve], by: str | None = None) -> list[CurveGroup]:
    """Group the curves of runs that differ only in their seed, or of those with the same value of a setting.

    by: name of a setting, such as `lr`. Raises UserError for another name.
    """
    if by is not None and by not in flat_fields(RunConfig):
        raise UserError("`by`: {by} is no setting. Give the name of one, such as lr or size.", by=by)
    groups: dict[str, list[RunCurve]] = {}
    for curve in curves:
        key = _settings(curve) if by is None else f"{by} {_value(curve, by)}"
        groups.setdefault(key, []).append(curve)
    if by is None:
        return [CurveGroup(label, tuple(group)) for label, group in _labeled([*groups.values()])]
    return [CurveGroup(label, tuple(group)) for label, group in groups.items()]


def _settings(curve: RunCurve) -> str:
    """Return the settings of a run that decide its loss, except its seed."""
    tables = Run(curve.summary.path).config().model_dump(mode="json")
    train = {name: value for name, value in tables["train"].items() if name not in WITHOUT_EFFECT}
    sources = [Path(source).name for source in tables["data"]["sources"]]
    return json.dumps({**tables, "train": train, "data": {**tables["data"], "sources": sources}})


def _value(curve: RunCurve, by: str) -> str:
    table, _, field = flat_fields(RunConfig)[by][0].rpartition(".")
    config = Run(curve.summary.path).config().model_dump(mode="json")
    value = (config[table] if table else config)[field]
    if value is None:
        return "default"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _labeled(groups: Sequence[Sequence[RunCurve]]) -> list[tuple[str, Sequence[RunCurve]]]:
    """Name each group after its runs; with their folders if two have the same name."""
    labels = [_label([curve.name for curve in group]) for group in groups]
    if len(set(labels)) < len(labels):
        labels = [_label([str(curve.summary.path) for curve in group]) for group in groups]
    return [*zip(labels, groups, strict=True)]


def _label(names: Sequence[str]) -> str:
    """Return a name for several runs.

    >>> _label(["notes-seed1", "notes-seed2"]), _label(["notes"])
    ('notes, 2 seeds', 'notes')
    """
    if len(names) == 1:
        return names[0]
    same = takewhile(lambda chars: len({*chars}) == 1, zip(*names, strict=False))
    common = "".join(chars[0] for chars in same).rstrip(digits).removesuffix("seed").rstrip("-_. ")
    return f"{common or names[0]}, {len(names)} seeds"


def _pairs(points: Sequence[Point], x: XAxis, y: str) -> NDArray[np.float64]:
    """Return x and y of the points that have both, (2, n)."""
    found = [(getattr(p, x), value) for p in points if (value := getattr(p, y)) is not None]
    return np.array(found, dtype=np.float64).reshape(-1, 2).T


def _thinned(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reduce a curve (2, n) to means of neighbors, at most MAX_POINTS."""
    size = -(-pairs.shape[1] // MAX_POINTS) or 1
    parts = [pairs[:, at : at + size].mean(1) for at in range(0, pairs.shape[1], size)]
    return np.stack(parts, axis=1) if parts else pairs


def _band(curves: Sequence[NDArray[np.float64]]) -> Band:
    """Average curves (2, n) where all of them have values, by lines between their points."""
    curves = [curve for curve in curves if curve.size]
    if not curves:
        return Band(*np.zeros((3, 0)))
    low, high = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    every = np.unique(np.concatenate([x for x, _ in curves]))
    x = every[(every >= low) & (every <= high)]
    if len(curves) > 1 and len(x) > MAX_POINTS:
        x = np.linspace(low, high, MAX_POINTS)
    values = np.stack([np.interp(x, *curve) for curve in curves])  # (n_curves, n)
    sd = values.std(0, ddof=1) if len(curves) > 1 else np.zeros(len(x))
    return Band(x, values.mean(0), sd)
