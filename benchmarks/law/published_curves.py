"""The refinement's regression on published curves: the final loss from the first half of a training.

    python benchmarks/law/published_curves.py CHECKOUT

CHECKOUT is one of thu-yao-01-luo/MultiPowerLaw: 27 loss curves of models of 25, 100 and 400 M parameters
under nine schedules. Each schedule is left out once. Multi-Power Law (arXiv 2503.12811) fits two or three
curves of a size and predicts whole curves; its mean relative errors are printed next to ours.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import numpy as np
from fit import robust

sys.path.append(str(Path(__file__).parents[1]))
from report import write_report

THEIRS = {"25": 0.0011, "100": 0.00142, "400": 0.00168}
"""Mean relative errors of Multi-Power Law by size in M parameters, from its README."""
TENTHS = (0.1, 0.25, 0.5, 0.75)


def inputs(
    steps: np.ndarray, lrs: np.ndarray, losses: np.ndarray, progress: float
) -> tuple[list[float], float]:
    """Return the inputs at this progress, and the logarithm of final loss / loss so far."""
    at = int(np.searchsorted(steps, progress * steps[-1]))
    recent, last = float(np.mean(losses[max(0, at - 2) : at + 1])), float(np.mean(losses[-3:]))
    earlier = float(np.mean(losses[max(0, at // 2 - 2) : at // 2 + 1]))
    fallen = math.log(recent / earlier)  # of the second half so far: how steep the curve is
    rate = math.log(lrs[-1] / lrs[at])
    ahead = fallen * (1 - progress) / progress
    return [1.0, fallen, rate, ahead, math.log(steps[-1] / 24_000)], math.log(last / recent)


def main(checkout: Path) -> None:
    """Print the errors by size and progress."""
    curves = {}
    for path in sorted((checkout / "loss_curve_repo").glob("csv_*/*.csv")):
        rows = [[float(row[name]) for name in ("step", "lr", "loss")] for row in csv.DictReader(path.open())]
        curves[path.parent.name.removeprefix("csv_"), path.stem] = np.array(rows).T
    found = {}
    for progress in TENTHS:
        pairs = [inputs(curve[0], curve[1], curve[2], progress) for curve in curves.values()]
        x, y = np.array([each for each, _ in pairs]), np.array([each for _, each in pairs])
        errors = np.zeros(len(y))
        for i, (_, schedule) in enumerate(curves):
            others = np.array([name != schedule for _, name in curves])
            errors[i] = y[i] - x[i] @ robust(x[others], y[others], 1e-3)
        for size, theirs in THEIRS.items():
            own = np.abs(errors[[each == size for each, _ in curves]])
            mean, worst = float(own.mean()), float(own.max())
            found[f"{size} M at {progress:.0%}"] = {"mean": round(mean, 5), "worst": round(worst, 5)}
            print(f"{size} M at {progress:.0%}: mean {mean:.2%}, worst {worst:.2%}; theirs {theirs:.2%}")
    figures = {"curves": len(curves), "relative_error": found, "multi_power_law": THEIRS}
    write_report("published_curves", figures)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
