"""A forecast refined by a run's evaluations: the curve that the law expects, shifted towards them.

ln(loss) of a run lies off its curve by a Gaussian process over ln(progress): a part that stays for the whole
run, a part that drifts, and a head start, which fades: a quick start says little about the end. Evaluations,
scaled to the whole held-out text, add noise, and what their part still differs from it. The forecast is the
lowest point of the shifted curve, or the best evaluation so far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ByProgress = Sequence[tuple[float, float]]
"""(progress, value), ascending. Losses are in nats per held-out character."""
TINY = 1e-3
"""Smallest progress and loss whose logarithm is taken; such a loss is that of a text that repeats itself."""


@dataclass(frozen=True)
class Residuals:
    """Distance of ln(loss) from the curve, fitted to trainings: benchmarks/law."""

    level: float
    """Standard deviation of the part that stays."""
    drift: float
    """Standard deviation of the part that drifts."""
    reach: float
    """Distance in ln(progress) over which the drift forgets a share of 1 − 1/e."""
    head_start: float
    """Standard deviation of the head start when the run begins."""
    fading: float
    """Progress over which the head start loses a share of 1 − 1/e."""
    part: float
    """Standard deviation of what the scaled evaluations of a part differ from the whole held-out text."""
    noise: float
    """Standard deviation of a single evaluation."""
    quantiles: ByProgress
    """By progress: half-width of the 80 % interval in standard deviations, by trainings on texts left out.

    Conformal: the 80 % quantile of their errors.
    """

    def covariance(self, a: Floats, b: Floats) -> Floats:
        """Return the covariance of the residuals at two progresses. a: (n,), b: (m,). Returns (n, m)."""
        distance = np.abs(np.log(a)[:, None] - np.log(b)[None, :])
        head_start = self.head_start**2 * np.exp(-(a[:, None] + b[None, :]) / self.fading)
        return self.level**2 + self.drift**2 * np.exp(-distance / self.reach) + head_start

    def quantile(self, progress: float) -> float:
        """Return the half-width of the 80 % interval at a progress, in standard deviations."""
        points, found = np.array(self.quantiles).T
        return float(np.interp(progress, points, found))


def refine(evals: ByProgress, curve: ByProgress, residuals: Residuals) -> tuple[float, float]:
    """Return the expected lowest held-out loss of a run, and its standard deviation in ln(loss).

    evals: all evaluations so far, at least one. curve: the losses that the law expects until the end.
    """
    seen, losses = _columns(evals)
    points, expected = _columns(curve)
    ahead = np.append(seen[-1], points[points > seen[-1]])
    apart = losses - _at(seen, points, expected)
    own = residuals.covariance(seen, seen) + residuals.part**2 + residuals.noise**2 * np.eye(len(seen))
    weights = np.linalg.solve(own, residuals.covariance(seen, ahead)).T  # (ahead, seen)
    mean = _at(ahead, points, expected) + weights @ apart
    variance = np.diag(residuals.covariance(ahead, ahead)) - (
        weights * residuals.covariance(ahead, seen)
    ).sum(1)
    lowest = int(np.argmin(mean))
    best = float(losses.min())
    if best <= mean[lowest]:
        return math.exp(best), math.hypot(residuals.part, residuals.noise)
    return math.exp(mean[lowest]), math.sqrt(max(0.0, float(variance[lowest])))


def _columns(losses: ByProgress) -> tuple[Floats, Floats]:
    """Return progress and ln(loss)."""
    progress, values = np.maximum(np.array(losses, float), TINY).T
    return progress, np.log(values)


def _at(progress: Floats, points: Floats, values: Floats) -> Floats:
    """Return the curve at some progress, interpolated in ln(progress)."""
    return np.interp(np.log(progress), np.log(points), values)
