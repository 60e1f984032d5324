"""The ranking of a model among the baselines, and the one sentence that says what it means."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from glassgpt.diagnose.finding import Finding, Outcome
from glassgpt.diagnose.score import Score
from glassgpt.errors import UserError

NOISE = 2.0
"""The losses of two predictors of one text differ with a standard error of about NOISE / √n_chars.

Measured between n-grams of several orders and smoothings on two corpora: the difference varies with a
standard deviation of 0.5 to 1.5 nats from character to character, and as neighbors are hard or easy
together, its mean over blocks of 200 varies 1.2 to 2.6 times as much as if they weren't: mostly 2 in all.
"""
COARSE = 0.2
"""Nothing is ranked where differences of so many nats may be chance: under 400 characters."""


@dataclass(frozen=True)
class Verdict:
    """Every score, best first; one sentence on what they mean; the finding about the model, if any."""

    scores: tuple[Score, ...]
    sentence: str
    finding: Finding | None = None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "scores": [score.to_dict() for score in self.scores],
            "sentence": self.sentence,
            "finding": self.finding.to_dict() if self.finding else None,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        scores = tuple(map(Score.from_dict, data["scores"]))
        finding = Finding.from_dict(data["finding"]) if data.get("finding") else None
        return cls(scores, data["sentence"], finding)


def judge(scores: Sequence[Score], model: Score | None = None) -> Verdict:
    """Rank a model among baselines (one or more, of the same text), or these alone, and say what it means.

    Differences within two standard errors are called chance. Raises UserError for a model's loss that is
    not a number, as after training that diverged.

    >>> table, gpt = Score("bigram", 2500.0, 1000, 1000), Score("gpt", 1500.0, 1000, 1000)
    >>> judge([table], gpt).finding.outcome
    'ok'
    """
    if model and not math.isfinite(model.total_nats):
        raise UserError(
            f"the validation loss of {model.name} is {model.total_nats}, which can't be ranked: training "
            "diverged; train again with a lower learning rate (--lr, --muon-lr)"
        )
    best = min(scores, key=_loss)
    chance = 2 * NOISE / math.sqrt(best.n_chars)
    if chance > COARSE:
        said, outcome, advice = _too_short(best, chance)
    elif model is None:
        said, outcome, advice = _to_beat(best)
    else:
        said, outcome, advice = _compare(scores, best, model, chance)
    ranked = tuple(sorted([*scores, model] if model else scores, key=_loss))
    sentence = f"{said}; {advice}." if advice else f"{said}."
    if model is None:
        return Verdict(ranked, sentence)
    name = "validation loss, nats per character"
    return Verdict(ranked, sentence, Finding(name, _loss(model), _loss(best), outcome, advice))


Judgment = tuple[str, Outcome, str]
"""What is the case, how to take it, and what to do about it."""


def _too_short(best: Score, chance: float) -> Judgment:
    said = (
        "The held-out text is too short for a ranking to mean anything: over its "
        f"{best.n_chars:,} characters, differences up to {chance:.2f} nats per character are chance"
    )
    return said, "unclear", "give more text, or hold out more of it"


def _to_beat(best: Score) -> Judgment:
    said = (
        f"To be worth its training, a model must get below {_loss(best):.3f} nats per character, where "
        f"{_phrase(best)} gets by choosing in effect among {best.perplexity_per_char:.1f} characters"
    )
    return said, "unclear", ""


def _compare(scores: Sequence[Score], best: Score, model: Score, chance: float) -> Judgment:
    lead = _loss(best) - _loss(model)
    beaten = [score for score in scores if _loss(score) - _loss(model) > chance]
    if lead > chance:
        said = (
            f"The model beats every baseline: {_versus(model, best)}, it is {lead:.2f} better than "
            f"{_phrase(best)}, choosing in effect among {model.perplexity_per_char:.1f} characters "
            f"instead of {best.perplexity_per_char:.1f}"
        )
        return said, "ok", ""
    if lead >= -chance:
        said = (
            f"The model is as good as {_phrase(best)}, the best baseline: {_versus(model, best)}, where "
            f"differences up to {chance:.3f} are chance"
        )
        return said, "unclear", "to get ahead, train longer or take a larger model"
    if beaten:
        said = (
            f"The model is worse than {_phrase(best)}, though better than {_phrase(min(beaten, key=_loss))}: "
            f"{_versus(model, best)}, it is {-lead:.2f} behind"
        )
        return said, "warn", "train longer, take a larger model or give more text"
    worst = max(scores, key=_loss)
    said = f"The model is no better than {_phrase(worst)}, the worst baseline: {_versus(model, worst)}"
    return said, "fail", "lower the learning rate, or give more text if only its training loss is low"


def _loss(score: Score) -> float:
    return score.nats_per_char


def _versus(model: Score, other: Score) -> str:
    return f"at {_loss(model):.3f} nats per character against {_loss(other):.3f}"


def _phrase(score: Score) -> str:
    kind, comma, besides = score.name.partition(",")
    if kind.endswith("gram"):
        return f"a table of counted {kind}s{comma}{besides}"
    return {"uniform": "a uniform guess", "xz": "the file compressor xz"}.get(score.name, score.name)
