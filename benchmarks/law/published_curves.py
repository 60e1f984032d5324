"""The refinement of forecasts on published curves: the final loss from the first part of a training.

    python benchmarks/law/published_curves.py CHECKOUT

CHECKOUT is one of thu-yao-01-luo/MultiPowerLaw: 27 loss curves of models of 25, 100 and 400 M parameters
under nine schedules. Each schedule is left out once: the form of our curve is fitted to the others of the
same size, and refined by the beginning of the curve, as in a run. Multi-Power Law (arXiv 2503.12811) fits two
or three curves of a size and predicts whole curves; its mean relative errors are printed next to ours.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from curve import ASYMPTOTE, Curves, Run, curve, errors, fit_curve, fit_residuals
from fit import Floats

sys.path.append(str(Path(__file__).parents[1]))
from report import write_report

THEIRS = {"25": 0.0011, "100": 0.00142, "400": 0.00168}
"""Mean relative errors of Multi-Power Law by size in M parameters, from its README."""
PROGRESS = (0.1, 0.25, 0.5, 0.75)
POINTS = 40
"""Points of a curve that are used, each a mean of its neighbors."""
PEAK, WARMUP = 3e-4, 2_160
"""Learning rate and steps of the warmup."""
LOWEST, HIGHEST = 1.2, 10.8
"""Bounds of the loss; the upper one is that of a uniform guess."""
PRIOR = np.array([-2.0, -2.0, -0.5, -3.0, 1.0, 0.0])
RIDGE = 0.003
START = (0.003, 0.003, 1.0, 0.001, 0.001)
"""Where the search for the residuals begins: a tenth of the grid's, as these curves have one text."""


class Published(NamedTuple):
    """A published curve at `POINTS` points."""

    size: str
    """Parameters, in M."""
    schedule: str
    progress: Floats
    travelled: Floats
    """Sum of the learning rates so far, in steps at the peak."""
    rate: Floats
    """Share of the peak."""
    loss: Floats

    def inputs(self) -> dict[str, Floats]:
        """Return the inputs of the curve, by term."""
        one, travelled, left = np.ones(POINTS), np.log(self.travelled / 20_000), np.log(self.rate + 0.03)
        return {
            "capacity": one[:, None],
            "training": np.stack([one, travelled], 1),
            "annealing": np.stack([one, left, travelled], 1),
        }


def read(path: Path) -> Published:
    """Read a curve."""
    with path.open() as file:
        rows = [[float(row[name]) for name in ("step", "lr", "loss")] for row in csv.DictReader(file)]
    step, lr, loss = np.array(rows).T
    travelled = WARMUP / 2 + np.cumsum(lr / PEAK * np.diff(step, prepend=WARMUP))
    at = np.linspace(max(0.05, step[2] / step[-1]), 1, POINTS)
    near = [np.sort(np.abs(step / step[-1] - p).argsort()[:3]) for p in at]
    columns = [np.array([values[each].mean() for each in near]) for values in (travelled, lr / PEAK, loss)]
    return Published(path.parent.name.removeprefix("csv_"), path.stem, at, *columns)


def expected(curves: list[Published]) -> list[Run]:
    """Return all curves, each with the one that a fit to the other schedules expects."""
    runs = list[Run]()
    for each in curves:
        others = (c for c in curves if c.size == each.size and c.schedule != each.schedule)
        weights = fit_curve(_points(others), PRIOR, RIDGE)
        points, losses = each.progress.tolist(), np.exp(curve(_points([each]), weights)[0]).tolist()
        evals = [*zip(points, each.loss.tolist(), strict=True)]
        runs.append(Run(each.size, evals, [*zip(points, losses, strict=True)], evals[-1][1], True))
    return runs


def _points(curves: Iterable[Published]) -> Curves:
    """Return the points of some curves as rows to fit to."""
    curves = [*curves]
    inputs, n = [each.inputs() for each in curves], POINTS * len(curves)
    return Curves(
        run=np.zeros(n),
        progress=np.concatenate([each.progress for each in curves]),
        inputs={term: np.concatenate([each[term] for each in inputs]) for term in inputs[0]},
        logs=np.log(np.concatenate([each.loss for each in curves])),
        weights=np.full(n, 10 / POINTS),
        unigram=np.full(n, HIGHEST),
        best=np.full(n, LOWEST / ASYMPTOTE),
    )


def main(checkout: Path) -> None:
    """Print the errors by size and progress."""
    files = sorted((checkout / "loss_curve_repo").glob("csv_*/*.csv"))
    runs = expected([read(path) for path in files])
    residuals, found = fit_residuals(runs, START), {}
    print(residuals)
    for progress in PROGRESS:
        for size, theirs in THEIRS.items():
            own = np.abs(errors([run for run in runs if run.text == size], progress, residuals)[0])
            mean, worst = float(own.mean()), float(own.max())
            found[f"{size} M at {progress:.0%}"] = {"mean": round(mean, 5), "worst": round(worst, 5)}
            print(f"{size} M at {progress:.0%}: mean {mean:.2%}, worst {worst:.2%}; theirs {theirs:.2%}")
    figures = {"curves": len(runs), "relative_error": found, "multi_power_law": THEIRS}
    write_report("published_curves", figures)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
