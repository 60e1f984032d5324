"""The answer of a comparison in words: a real difference, or none that would have been seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassgpt.diagnose.finding import Finding
from glassgpt.diagnose.sign_flips import MIN_PAIRS, Paired, holm, paired, sign_flip_p
from glassgpt.language import N_, _, join_texts
from glassgpt.notebook_html import paragraph
from glassgpt.tables import as_html

UNIT = "nats per character"
LEVEL = 0.05
"""Corrected p-value below which a difference of a sweep is called real."""


@dataclass(frozen=True)
class Comparison:
    """Losses of two arms in pairs, what they say, and that in one sentence. A notebook shows the pairs."""

    names: tuple[str, str]
    losses: tuple[tuple[float, float], ...]
    """Losses of a pair, in nats per character of the same held-out text."""
    paired: Paired
    """About the differences: loss of the first minus loss of the second."""
    sentence: str
    finding: Finding

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {
            "names": list(self.names),
            "losses": [list(pair) for pair in self.losses],
            **self.paired.to_dict(),
            "sentence": self.sentence,
            "finding": self.finding.to_dict(),
        }

    def __str__(self) -> str:
        return _(self.sentence)

    def _repr_html_(self) -> str:
        rows = [
            [str(i), *(f"{loss:.3f}" for loss in pair), f"{pair[0] - pair[1]:+.3f}"]
            for i, pair in enumerate(self.losses, 1)
        ]
        head = [_("pair"), *self.names, _("difference")]
        return f"{as_html(head, rows, range(4))}{paragraph(_(self.sentence))}"


def compare_pairs(
    losses: Sequence[tuple[float, float]], planned: int, names: tuple[str, str] = ("A", "B")
) -> Comparison:
    """Compare two arms by their losses in pairs (one or more), of a plan of `planned`.

    >>> pairs = [(1.52, 1.5), (1.51, 1.49), (1.53, 1.5), (1.5, 1.48), (1.52, 1.49), (1.51, 1.49)]
    >>> compare_pairs(pairs, planned=8).sentence
    'B is better by 0.023 nats per character (95 %: 0.020 to 0.030), 1.5 % of the loss of A.'
    """
    a, b = np.asarray(losses, float).T
    found = paired((a - b).tolist(), planned)
    finding = Finding(
        name=f"loss of {names[0]} minus loss of {names[1]}, {UNIT}",
        observed=found.mean,
        expected=0.0,
        outcome="ok" if found.is_real else "unclear",
        within=found.within,
    )
    pairs = tuple((x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True))
    return Comparison(names, pairs, found, _sentence(found, float(a.mean()), names), finding)


def _sentence(found: Paired, loss: float, names: tuple[str, str]) -> str:
    n, (first, second) = len(found.differences), names
    if not any(found.differences) and n > 1:
        return N_(
            "{first} and {second} do not differ: the losses of all {n} pairs are equal.",
            first=first,
            second=second,
            n=n,
        )
    if found.low is None or found.high is None:
        return N_(
            "Too few pairs to tell: with {n} of {planned}, even differences of one sign are chance. Train "
            "{min_pairs} pairs or more (`pairs`).",
            n=n,
            planned=found.planned,
            min_pairs=MIN_PAIRS,
        )
    if found.is_real:
        return N_(
            "{better} is better by {difference}, {share:.1f} % of the loss of {first}.",
            better=second if found.mean > 0 else first,
            difference=_with_limits(found),
            share=100 * abs(found.mean) / loss,
            first=first,
        )
    if found.excludes_zero:
        return N_(
            "No claim: signs and bootstrap disagree on a difference of {difference} nats per character.",
            difference=nats_figure(found.mean),
        )
    return N_(
        "No real difference; one of {difference} nats per character or more would have been seen (in 8 of 10 "
        "such comparisons).",
        difference=nats_figure(found.detectable or 0.0),
    )


@dataclass(frozen=True)
class Swept:
    """One value of a sweep against the reference: its comparison, and its p-value corrected for them all."""

    comparison: Comparison
    p: float
    """Two-sided sign-flip p-value, corrected by Holm's procedure."""
    is_real: bool

    @property
    def name(self) -> str:
        """Name of the arm that is compared with the reference."""
        return self.comparison.names[1]

    @property
    def paired(self) -> Paired:
        """The differences: loss of the reference minus loss of this arm."""
        return self.comparison.paired

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return self.comparison.to_dict() | {"p": self.p, "is_real": self.is_real}


@dataclass(frozen=True)
class Sweep:
    """All arms of a sweep: their losses, each one's comparison with the first, and the answer in words."""

    losses: dict[str, tuple[float, ...]]
    """By arm, one for each seed; the first arm is the reference."""
    comparisons: tuple[Swept, ...]
    sentence: str

    @property
    def means(self) -> dict[str, float]:
        """Mean loss of each arm."""
        return {name: float(np.mean(losses)) for name, losses in self.losses.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {
            "losses": {name: list(losses) for name, losses in self.losses.items()},
            "comparisons": [each.to_dict() for each in self.comparisons],
            "sentence": self.sentence,
        }

    def __str__(self) -> str:
        return _(self.sentence)

    def _repr_html_(self) -> str:
        p = {each.name: f"{each.p:.3f}" for each in self.comparisons}
        rows = [[name, f"{loss:.3f}", p.get(name, _("reference"))] for name, loss in self.means.items()]
        real = {each.name for each in self.comparisons if each.is_real}
        marked = [i for i, row in enumerate(rows) if row[0] in real]
        return f"{as_html(['', _('mean loss'), 'p'], rows, (1, 2), marked)}{paragraph(_(self.sentence))}"


def compare_all(losses: Mapping[str, Sequence[float]], alpha: float = LEVEL) -> Sweep:
    """Compare each arm of a sweep with the first one.

    losses: by the name of the arm, one for each seed, in the same order of seeds. All arms have as many.
    """
    names = list(losses)
    others, reference = names[1:], names[0]
    found = []
    for name in others:
        pairs = list(zip(losses[reference], losses[name], strict=True))
        found.append(compare_pairs(pairs, len(pairs), (reference, name)))
    corrected = holm([sign_flip_p(np.asarray(each.paired.differences)) for each in found])
    swept = [
        Swept(each, p, p <= alpha and _excludes_zero(each)) for each, p in zip(found, corrected, strict=True)
    ]
    rows = {name: tuple(map(float, values)) for name, values in losses.items()}
    return Sweep(rows, tuple(swept), _answer(swept, rows, alpha))


def _excludes_zero(found: Comparison) -> bool:
    low, high = found.paired.bca or (0.0, 0.0)
    return low > 0 or high < 0


def pairs_needed(n_comparisons: int, alpha: float = LEVEL) -> int:
    """Return the pairs without which no difference can pass the correction for so many comparisons.

    >>> pairs_needed(1), pairs_needed(3), pairs_needed(6)
    (6, 7, 8)
    """
    return math.ceil(1 + math.log2(n_comparisons / alpha))


def _answer(swept: Sequence[Swept], losses: Mapping[str, Sequence[float]], alpha: float) -> str:
    reference, n = next(iter(losses)), len(next(iter(losses.values())))
    if n < (needed := pairs_needed(len(swept), alpha)):
        best = min(losses, key=lambda name: float(np.mean(losses[name])))
        return N_(
            "{best} has the lowest mean loss. Too few pairs to tell more: with {n} comparisons it takes "
            "{needed} pairs or more (`pairs`).",
            best=best,
            n=len(swept),
            needed=needed,
        )
    better = sorted((each for each in swept if each.is_real and _gain(each) > 0), key=_gain, reverse=True)
    worse = [each.comparison.names[1] for each in swept if each.is_real and _gain(each) < 0]
    same = [each.comparison.names[1] for each in swept if not each.is_real]
    parts = [
        N_(
            "{name} is better than {reference} by {difference}",
            name=each.comparison.names[1],
            reference=reference,
            difference=_with_limits(each.comparison.paired),
        )
        for each in better
    ]
    if len(worse) == 1:
        parts.append(N_("{name} is worse than {reference}", name=worse[0], reference=reference))
    elif worse:
        parts.append(N_("{names} are worse than {reference}", names=_listed(worse), reference=reference))
    if same:
        parts.append(
            N_("{names} and {reference} show no real difference", names=_listed(same), reference=reference)
        )
    return N_("{statement}.", statement=join_texts("; ", parts))


def _gain(each: Swept) -> float:
    return each.paired.mean


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return N_("{names} and {last}", names=join_texts(", ", names[:-1]), last=names[-1])


def _decimals(size: float) -> int:
    """Return the decimals that show two digits of a small number, and three for any."""
    return 3 if size >= 0.01 or size <= 0 else min(9, 1 - math.floor(math.log10(size)))


def nats_figure(value: float, like: float | None = None) -> str:
    """Return a loss or a difference with three decimals, or two digits if it is small.

    like: a number that decides the decimals instead.

    >>> nats_figure(0.0213), nats_figure(-0.000123), nats_figure(0.0)
    ('0.021', '−0.00012', '0.000')
    """
    return f"{value:.{_decimals(abs(value if like is None else like))}f}".replace("-", "−")


def _with_limits(found: Paired) -> str:
    """Return the size of a difference and its interval, whichever arm is the better one."""
    limits = sorted((abs(found.low or 0.0), abs(found.high or 0.0)))
    decimals = _decimals(abs(found.mean))
    low, mean, high = (f"{value:.{decimals}f}" for value in (limits[0], abs(found.mean), limits[1]))
    return N_("{mean} nats per character (95 %: {low} to {high})", mean=mean, low=low, high=high)
