"""Accuracy: the share of exactly correct answers, its confidence interval, and BLEU.

For models that answer (translations, captions, classes). Nothing here runs a model; the baselines are in
answer_baselines.py, the comparison in verdict.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from glassgpt.diagnose.score import Kind
from glassgpt.diagnose.stored import Count, from_stored
from glassgpt.errors import UserError

RARE = 0.2
"""BLEU replaces the share of exact answers if every row has a lower share than this."""
BLEU_NOISE = 40.0
"""Standard error of the BLEU difference of two systems on the same n sentences, times √n.

Measured by bootstrap on the 1,000 German test sentences of Multi30k, with two systems that replace words
at random: 1.0 to 1.4, from 80 down to 38 BLEU.
"""


@dataclass(frozen=True)
class Accuracy:
    """Number of `n` answers that are correct, character for character.

    `detail` tells a reader in words how the answers came about. `figures` holds further numbers by name, such
    as {"BLEU": 33.1, "nats/char": 0.4}. Raises UserError if there are no answers.

    >>> Accuracy("this model", n_correct=30, n=40).share
    0.75
    """

    name: str
    n_correct: Count
    n: Count
    detail: str = ""
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    kind: Kind = "other"

    def __post_init__(self) -> None:
        if self.n < 1:
            raise UserError("{name}: 0 answers to measure on. Hold out at least one example.", name=self.name)
        if not 0 <= self.n_correct <= self.n:
            raise ValueError(f"{self.n_correct} of {self.n} answers are correct")

    @property
    def share(self) -> float:
        """Share of correct answers, 0 to 1."""
        return self.n_correct / self.n

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the share, ready for JSON."""
        return asdict(self) | {"share": self.share}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild an accuracy from `to_dict`; the share is computed again.

        Raises ValueError for missing or wrong fields.
        """
        return from_stored(cls, data)


def share_interval(one: Accuracy, other: Accuracy) -> float:
    """Return two standard errors of the difference of two shares, taken as unpaired.

    The same questions were answered, but only the number of correct answers is known here. Predictors tend to
    be correct on the same questions; then this interval is too wide rather than too narrow. One correct and
    one wrong answer are added to each, so that it holds for few answers and for shares of 0 and 1.
    Source: Agresti and Caffo 2000, "Simple and effective confidence intervals for proportions".

    >>> round(share_interval(Accuracy("a", 60, 98), Accuracy("b", 30, 98)), 3)
    0.137
    """
    shares = [((row.n_correct + 1) / (row.n + 2), row.n + 2) for row in (one, other)]
    widened = 1 + 2 / min(one.n, other.n)  # undoes the shrinkage of the difference by the added answers
    return 2 * widened * math.sqrt(sum(p * (1 - p) / n for p, n in shares))


def bleu_interval(one: Accuracy, other: Accuracy) -> float:
    """Return two standard errors of the difference of two BLEU scores."""
    return 2 * BLEU_NOISE / math.sqrt(min(one.n, other.n))


def percent(share: float) -> str:
    """Format a share; anything less than all is at most 99.9 %.

    >>> percent(0.9999), percent(1)
    ('99.9 %', '100.0 %')
    """
    return f"{min(100 * share, 100 if share == 1 else 99.9):.1f} %"


def exact_answers(
    name: str, answers: Sequence[str], correct: Sequence[str], detail: str = "", kind: Kind = "other"
) -> Accuracy:
    """Count the exactly correct answers; add BLEU if they are rare.

    >>> exact_answers("copying the source", ["Hut", "Hand"], ["hat", "Hand"]).n_correct
    1
    """
    n_correct = sum(mine == other for mine, other in zip(answers, correct, strict=True))
    score = bleu(answers, correct) if n_correct < RARE * len(correct) else None
    return Accuracy(name, n_correct, len(correct), detail, {} if score is None else {"BLEU": score}, kind)


def bleu(answers: Sequence[str], correct: Sequence[str]) -> float | None:
    """Compute corpus BLEU, 0 to 100, by sacrebleu's defaults; None without sacrebleu.

    Also None if the correct answers have fewer than four words on average: BLEU compares n-grams of up to
    four words. Source: Papineni et al. 2002; Post 2018, "A call for clarity in reporting BLEU scores".
    """
    if not correct or sum(len(answer.split()) for answer in correct) < 4 * len(correct):
        return None
    try:
        from sacrebleu import corpus_bleu
    except ImportError:
        return None
    return float(corpus_bleu(list(answers), [list(correct)], force=True).score)


def bleu_signature() -> str:
    """Return sacrebleu's signature of `bleu`, which makes the figure comparable; empty without sacrebleu.

    It names references, case, tokenizer, smoothing and version.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        return ""
    metric = BLEU(force=True)
    metric.corpus_score(["a b c d"], [["a b c d"]])
    return str(metric.get_signature())
