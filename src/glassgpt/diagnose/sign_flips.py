"""Paired differences: a test and an interval that stay valid if one looks after every pair.

The only assumption is that a difference is as likely to lie above the true one as below it, by any amount
(symmetry). Pairs that share their random seeds come close to it. The signs of such differences are coin
tosses, which can be counted exactly; no table of a distribution is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.042
"""Probability of a false claim over all looks together, at most.

Below 5 %, so that the interval still covers 95 % if differences are a little skewed.
"""
MIN_PAIRS = 6
"""Fewer pairs have too few patterns of signs: with five, the rarest one has a probability of 1/16."""
MAX_PAIRS = 16
"""More pairs have too many patterns of signs to count them all."""
DETECTABLE = (1.77, 1.77, 1.44, 1.27, 1.14, 1.10, 1.05, 1.00, 0.95, 0.93, 0.91)
"""Difference that 8 of 10 comparisons of 6, 7, … 16 pairs find, in standard deviations of the differences.

Measured with the sequential test on drawn normal differences; `benchmarks/compare.py` checks it.
"""
N_RESAMPLES = 9_999

Values = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Paired:
    """The differences of pairs, and what can be said about their true mean.

    `low` and `high` are the 95 % interval, `bca` the one of the BCa bootstrap, `detectable` the smallest true
    difference that 8 of 10 such comparisons find. They are None with too few pairs.
    """

    differences: tuple[float, ...]
    planned: int
    mean: float
    low: float | None
    high: float | None
    bca: Interval | None
    detectable: float | None
    excludes_zero: bool
    """True if the signs alone (the sequential test) exclude a difference of zero."""

    @property
    def is_real(self) -> bool:
        """True if both methods exclude a difference of zero: the sign-flip test and the bootstrap."""
        return self.excludes_zero and self.bca is not None and (self.bca[0] > 0 or self.bca[1] < 0)

    @property
    def within(self) -> float | None:
        """Distance from the mean to the farther end of the interval."""
        if self.low is None or self.high is None:
            return None
        return max(self.mean - self.low, self.high - self.mean)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self) | {"is_real": self.is_real}


def paired(differences: Sequence[float], planned: int) -> Paired:
    """Return what these differences say, of a plan of `planned` pairs.

    differences: one for each pair so far, in their order. Valid at any look: the chance of a false claim at
    this or an earlier one is at most `ALPHA`.

    >>> found = paired([0.021, 0.018, 0.025, 0.02, 0.023, 0.019], planned=8)
    >>> found.is_real, round(found.mean, 3), found.low, found.high
    (True, 0.021, 0.018, 0.025)
    """
    d = np.asarray(differences, float)
    low, high = interval(d, planned)
    return Paired(
        differences=tuple(d.tolist()),
        planned=planned,
        mean=float(d.mean()),
        low=low,
        high=high,
        bca=bca_interval(d),
        detectable=detectable(d, planned),
        excludes_zero=first_rejection(d, planned) is not None,
    )


def is_decided(differences: Sequence[float], planned: int) -> bool:
    """True if further pairs are not needed: a difference is real, or the arms do exactly the same.

    May be asked after every pair (see `paired`).
    """
    d = np.asarray(differences, float)
    if not d.any():
        return len(d) > 1
    if first_rejection(d, planned) is None:
        return False
    bca = bca_interval(d)
    return bca is not None and (bca[0] > 0 or bca[1] < 0)


def spent(n: int, planned: int) -> float:
    """Return the probability of a false claim that may be used up after n of the planned pairs.

    In proportion to the pairs. Source: Kim and DeMets 1987, "Design and analysis of group sequential tests
    based on the type I error spending rate function".
    """
    return ALPHA * min(1.0, n / planned)


def first_rejection(d: Values, planned: int) -> int | None:
    """Return the number of pairs after which the sequential sign-flip test excludes a mean of zero, or None.

    d: (n ≤ 16,). At each look all 2^k patterns of signs are equally likely if the true difference is zero.
    The patterns with the largest sums are rejected, as many as the spent probability allows together with
    those rejected at earlier looks. So the probability of a false claim at any look is at most `ALPHA`.
    Sources: Fisher 1935, "The Design of Experiments" (sign flips); Lan and DeMets 1983, "Discrete sequential
    boundaries for clinical trials" (spending).
    """
    sums, rejected = np.zeros(1), np.zeros(1, bool)  # (2^k,) by pattern; the first is the observed one
    tolerance = 1e-12 * float(np.abs(d).sum())
    for k, difference in enumerate(d.tolist(), start=1):
        sums = np.concatenate([sums + difference, sums - difference])
        rejected = np.concatenate([rejected, rejected])
        room = math.floor(spent(k, planned) * len(sums) + 1e-9) - int(rejected.sum())
        if room > 0:
            rejected |= _largest(np.where(rejected, -1.0, np.abs(sums)), room, tolerance)
        if rejected[0]:
            return k
    return None


def _largest(sizes: Values, room: int, tolerance: float) -> NDArray[np.bool_]:
    """Mark the largest sizes, `room` at most; equal ones all or none."""
    top = -np.sort(-sizes)[: room + 1]
    gaps = np.flatnonzero(top[:-1] - top[1:] > tolerance) if len(top) > room else np.array([room - 1])
    if not len(gaps):
        return np.zeros(len(sizes), bool)
    return sizes >= top[gaps[-1]] - tolerance / 2


def interval(d: Values, planned: int) -> tuple[float | None, float | None]:
    """Return the means that the sequential test does not exclude: a 95 % interval at any look.

    With one look it lies between two means of subsets of the differences (Hartigan 1969, "Using subsample
    values as typical values"). None if nothing is excluded.
    """
    low, high = float(d.min()), float(d.max())
    width = max(high - low, 1e-12 + 1e-9 * abs(low))
    if first_rejection(d - (high + 100 * width), planned) is None:
        return None, None
    grid = np.linspace(low - 0.01 * width, high + 0.01 * width, 103)
    kept = [mean for mean in grid.tolist() if first_rejection(d - mean, planned) is None]
    middle = kept or [float(np.median(d))]
    return (
        _edge(d, planned, min(middle), low - width),
        _edge(d, planned, max(middle), high + width),
    )


def _edge(d: Values, planned: int, inside: float, outside: float) -> float:
    """Return the mean between these two at which the test begins to exclude."""
    for _ in range(40):
        mean = (inside + outside) / 2
        if first_rejection(d - mean, planned) is None:
            inside = mean
        else:
            outside = mean
    return round(inside, 12)


def bca_interval(d: Values) -> Interval | None:
    """Return the 95 % interval of the mean by the BCa bootstrap; None for fewer than `MIN_PAIRS`.

    With few pairs it is too narrow (some 90 % for eight). It is the second opinion, not the interval that is
    shown. Source: Efron 1987, "Better bootstrap confidence intervals".
    """
    if len(d) < MIN_PAIRS:
        return None
    if np.ptp(d) <= 1e-12 * float(np.abs(d).max()):
        return float(d[0]), float(d[0])
    from scipy.stats import bootstrap  # scipy.stats takes half a second to import

    found = bootstrap(
        (d,), np.mean, n_resamples=N_RESAMPLES, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)


def detectable(d: Values, planned: int) -> float | None:
    """Return the true difference that 8 of 10 such comparisons find; None for too few pairs.

    d: (n ≥ 2,). As rough as the spread of the differences, from which it comes.
    """
    if planned < MIN_PAIRS or len(d) < 2:
        return None
    return DETECTABLE[planned - MIN_PAIRS] * float(np.std(d, ddof=1))


def sign_flip_p(d: Values) -> float:
    """Return the two-sided p-value of one look: the share of sign patterns with as large a sum.

    d: (n ≤ 16,).

    >>> sign_flip_p(np.array([3.0, 2.0, 1.0]))
    0.25
    """
    sums = np.zeros(1)
    for difference in d.tolist():
        sums = np.concatenate([sums + difference, sums - difference])
    return float(np.mean(np.abs(sums) >= abs(sums[0]) - 1e-12 * float(np.abs(d).sum())))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for several comparisons.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order, corrected, largest = np.argsort(p_values, kind="stable"), [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = largest
    return corrected
