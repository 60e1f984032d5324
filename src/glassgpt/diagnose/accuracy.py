"""What a model that answers is worth (translations, captions, classes), among answers made by counting.

The counterpart of ranking.py, which stays for models of text. Here an answer is right or wrong as a whole,
or compared by BLEU where hardly any can be exactly right. No model runs here, and nothing is counted but
right answers: what there is to beat comes from counted_answers.py.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

from glassgpt.diagnose.finding import Finding, Outcome
from glassgpt.diagnose.score import Score
from glassgpt.errors import UserError

RARE = 0.2
"""Where all get fewer answers exactly right than this share, BLEU says more, if it was measured."""
BLEU_NOISE = 40.0
"""The BLEU of two systems on the same n sentences differs with a standard error of BLEU_NOISE / √n.

Measured by bootstrap on the 1,000 German test sentences of Multi30k, with two systems that replace words
at random: 1.0 to 1.4, from 80 down to 38 BLEU.
"""


@dataclass(frozen=True)
class Accuracy:
    """How many of `n` answers are right, character for character.

    `detail` says in words what a reader should know, `figures` holds further numbers by name, such as
    {"BLEU": 33.1, "nats/char": 0.4}. Raises UserError where nothing was answered.

    >>> Accuracy("this model", n_correct=30, n=40).share
    0.75
    """

    name: str
    n_correct: int
    n: int
    detail: str = ""
    figures: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        if self.n < 1:
            raise UserError(f"{self.name}: 0 answers to measure on; hold out at least one example")
        assert 0 <= self.n_correct <= self.n

    @property
    def share(self) -> float:
        """Right answers in all answers, 0 to 1."""
        return self.n_correct / self.n

    def to_dict(self) -> dict[str, Any]:
        """Fields and the share, ready for JSON."""
        return asdict(self) | {"share": self.share}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of `to_dict`; the share is computed anew."""
        return cls(
            data["name"], data["n_correct"], data["n"], data.get("detail", ""), data.get("figures", {})
        )


@dataclass(frozen=True)
class AccuracyVerdict:
    """Every row, best first; one sentence on what they mean; the finding about the model, if any.

    `asked` says in the plural what was to be answered: "questions", "sentences", "reviews".
    """

    rows: tuple[Accuracy, ...]
    sentence: str
    finding: Finding | None = None
    asked: str = "questions"
    losses: tuple[Score, ...] = ()
    """What the text of the answers costs by counting; for those who can't say what they would answer."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "sentence": self.sentence,
            "finding": self.finding.to_dict() if self.finding else None,
            "asked": self.asked,
            "losses": [score.to_dict() for score in self.losses],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        finding = Finding.from_dict(data["finding"]) if data.get("finding") else None
        rows = tuple(map(Accuracy.from_dict, data["rows"]))
        losses = tuple(map(Score.from_dict, data.get("losses", ())))
        return cls(rows, data["sentence"], finding, data["asked"], losses)


class Scale(NamedTuple):
    """What rows are ranked by, how it is said, and up to what difference of two rows it may be chance."""

    name: str
    value: Callable[[Accuracy], float]
    said: Callable[[float], str]
    opening: Callable[[Accuracy, str], str]
    chance: Callable[[Accuracy, Accuracy], float]
    chance_said: Callable[[float], str]


def percent(share: float) -> str:
    """Never 100.0 for less than all.

    >>> percent(0.9999), percent(1)
    ('99.9 %', '100.0 %')
    """
    return f"{min(100 * share, 100 if share == 1 else 99.9):.1f} %"


def chance_of_shares(one: Accuracy, other: Accuracy) -> float:
    """Two standard errors of the difference of two shares, as if they had answered different questions.

    Not paired: which answers were right is not known here, only how many. For predictors that tend to be
    right on the same questions, the usual case, that is too cautious rather than too bold. One right and
    one wrong answer are added to each, so that it holds for few answers and for shares of 0 and 1.
    Source: Agresti and Caffo 2000, "Simple and effective confidence intervals for proportions".

    >>> round(chance_of_shares(Accuracy("a", 60, 98), Accuracy("b", 30, 98)), 3)
    0.137
    """
    shares = [((row.n_correct + 1) / (row.n + 2), row.n + 2) for row in (one, other)]
    widened = 1 + 2 / min(one.n, other.n)  # those answers shrink the difference as well; it is taken unshrunk
    return 2 * widened * math.sqrt(sum(p * (1 - p) / n for p, n in shares))


EXACT = Scale(
    "answers exactly right, share",
    lambda row: row.share,
    percent,
    lambda row, asked: f"The model answers {percent(row.share)} of {row.n:,} unseen {asked} exactly",
    chance_of_shares,
    lambda chance: f"{100 * chance:.1f} percentage points",
)
BLEU = Scale(
    "BLEU",
    lambda row: row.figures.get("BLEU", -1.0),
    lambda value: f"{value:.1f} BLEU",
    lambda row, asked: f"The model's answers to {row.n:,} unseen {asked} get {row.figures['BLEU']:.1f} BLEU",
    lambda one, other: 2 * BLEU_NOISE / math.sqrt(min(one.n, other.n)),
    lambda chance: f"{chance:.1f} BLEU",
)


def accuracy_verdict(
    baselines: Sequence[Accuracy],
    model: Accuracy | None = None,
    *,
    asked: str = "questions",
    losses: Sequence[Score] = (),
) -> AccuracyVerdict:
    """Rank a model among baselines (one or more), or these alone, and say what it means.

    Differences within two standard errors, taken as not paired, are called chance. Rows are ranked by the
    share of exact answers; by BLEU where that is under `RARE` for all, and both the model and a baseline
    have the figure.

    >>> table, model = Accuracy("the most frequent answer", 310, 1000), Accuracy("this model", 972, 1000)
    >>> accuracy_verdict([table], model).sentence[:58]
    'The model answers 97.2 % of 1,000 unseen questions exactly'
    """
    rows = [*baselines, model] if model else list(baselines)
    by_bleu = all(row.share < RARE for row in rows) and any("BLEU" in row.figures for row in baselines)
    scale = BLEU if by_bleu and (model is None or "BLEU" in model.figures) else EXACT
    ranked = tuple(sorted(rows, key=scale.value, reverse=True))
    compared = [row for row in baselines if scale.value(row) >= 0]
    best = max(compared, key=scale.value)
    if model is None:
        sentence = (
            f"To be worth its training, a model must get above {scale.said(scale.value(best))} on {best.n:,} "
            f"unseen {asked}, which {best.name} alone would get."
        )
        return AccuracyVerdict(ranked, sentence, None, asked, tuple(losses))
    said, outcome, advice = _compare(scale, compared, best, model)
    opening = scale.opening(model, asked)
    sentence = f"{opening}{said}; {advice}." if advice else f"{opening}{said}."
    finding = Finding(scale.name, scale.value(model), scale.value(best), outcome, advice)
    return AccuracyVerdict(ranked, sentence, finding, asked, tuple(losses))


def _compare(
    scale: Scale, baselines: Sequence[Accuracy], best: Accuracy, model: Accuracy
) -> tuple[str, Outcome, str]:
    """What follows the opening, how to take it, and what to do about it."""

    def would_get(row: Accuracy) -> str:
        return f"{row.name} alone would get {scale.said(scale.value(row))}"

    def lead(row: Accuracy) -> float:
        return scale.value(model) - scale.value(row)

    chance = scale.chance(model, best)
    beaten = [row for row in baselines if lead(row) > scale.chance(model, row)]
    if best in beaten:
        return f"; {would_get(best)}", "ok", ""
    if lead(best) >= -chance:
        said = f", and {would_get(best)}: differences up to {scale.chance_said(chance)} are chance"
        return said, "unclear", "to get ahead, train longer, or hold out more to measure smaller differences"
    if beaten:
        next_best = max(beaten, key=scale.value)
        said = (
            f": more than {next_best.name} alone would get ({scale.said(scale.value(next_best))}), but less "
            f"than {best.name} ({scale.said(scale.value(best))})"
        )
        return said, "warn", "train longer, take a larger model or give more examples"
    worst = min(baselines, key=scale.value)
    said = f", no better than the worst baseline: {would_get(worst)}"
    return said, "fail", "lower the learning rate, or give more examples if only its training loss is low"


def exact_answers(name: str, given: Sequence[str], right: Sequence[str], detail: str = "") -> Accuracy:
    """How many answers are exactly right; where few are, their BLEU too, if it can be had.

    >>> exact_answers("copying the source", ["Hut", "Hand"], ["hat", "Hand"]).n_correct
    1
    """
    n_correct = sum(mine == other for mine, other in zip(given, right, strict=True))
    score = bleu(given, right) if n_correct < RARE * len(right) else None
    return Accuracy(name, n_correct, len(right), detail, {} if score is None else {"BLEU": score})


def bleu(given: Sequence[str], right: Sequence[str]) -> float | None:
    """Corpus BLEU, 0 to 100, by sacrebleu's defaults; None where sacrebleu is not installed.

    None too where the right answers have under four words on average: BLEU compares runs of up to four.
    Source: Papineni et al. 2002; Post 2018, "A call for clarity in reporting BLEU scores".
    """
    if not right or sum(len(answer.split()) for answer in right) < 4 * len(right):
        return None
    try:
        from sacrebleu import corpus_bleu
    except ImportError:
        return None
    return float(corpus_bleu(list(given), [list(right)], force=True).score)
