"""Verdict: a model ranked among its baselines, and one sentence about the result.

`judge` compares losses (rows are `Score`) or correct answers (rows are `Accuracy`). Differences within two
standard errors are called chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, overload

from glassgpt.diagnose.accuracy import RARE, Accuracy, bleu_interval, percent, share_interval
from glassgpt.diagnose.finding import Finding, Outcome
from glassgpt.diagnose.old_verdicts import upgrade
from glassgpt.diagnose.score import Score
from glassgpt.errors import UserError

FORMAT = 2
"""Format of a stored verdict; files without a format are format 1."""
NOISE = 2.0
"""Standard error of the loss difference of two predictors on one text, in nats, times √n_chars.

Measured between n-grams of several orders and smoothings on two corpora. The difference varies with a
standard deviation of 0.5 to 1.5 nats from character to character. Neighboring characters are hard or easy
together, so its mean over blocks of 200 varies 1.2 to 2.6 times as much as without: mostly 2 in all.
"""
COARSE = 0.2
"""No ranking if differences of so many nats may be chance: under 400 characters."""


@dataclass(frozen=True)
class Verdict:
    """A model, its baselines (best first), one sentence, and the finding about the model.

    All rows are losses (`scores`) or all count correct answers (`accuracies`). Without a model there is no
    finding, and the sentence says what a model must reach.
    """

    model: Score | Accuracy | None
    baselines: tuple[Score, ...] | tuple[Accuracy, ...]
    sentence: str
    finding: Finding | None = None
    without_source: Accuracy | None = None
    """The same model with its source hidden."""
    asked: str = ""
    """Plural noun for the examples to answer: "questions", "sentences", "reviews"."""
    losses: tuple[Score, ...] = ()
    """Loss of count-based baselines on the text of the answers, for those that give no answer."""

    @property
    def rows(self) -> tuple[Score, ...] | tuple[Accuracy, ...]:
        """All rows, best first, the model's included."""
        return self.scores or self.accuracies

    @property
    def scores(self) -> tuple[Score, ...]:
        """All rows, best first, if they are losses; else empty."""
        rows = [row for row in (*self.baselines, self.model) if isinstance(row, Score)]
        return tuple(sorted(rows, key=_loss))

    @property
    def accuracies(self) -> tuple[Accuracy, ...]:
        """All rows, best first, if they count correct answers; else empty."""
        rows = [
            row for row in (*self.baselines, self.without_source, self.model) if isinstance(row, Accuracy)
        ]
        model = self.model if isinstance(self.model, Accuracy) else None
        return _ranked(rows, _scale(rows, model))

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form, ready for JSON."""
        return {
            "format": FORMAT,
            "model": _row_to_dict(self.model),
            "without_source": _row_to_dict(self.without_source),
            "baselines": [row.to_dict() for row in self.baselines],
            "losses": [score.to_dict() for score in self.losses],
            "asked": self.asked,
            "sentence": self.sentence,
            "finding": self.finding.to_dict() if self.finding else None,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild a verdict from `to_dict`, also from the two forms of format 1.

        Raises ValueError for a newer format, KeyError or TypeError for missing or wrong fields.
        """
        data = data if "format" in data else upgrade(data)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r} is not supported, only {FORMAT}")
        without_source = data["without_source"]
        baselines = [_row_from_dict(row) for row in data["baselines"]]
        return cls(
            model=None if data["model"] is None else _row_from_dict(data["model"]),
            baselines=_of_one_type(baselines),
            sentence=data["sentence"],
            finding=Finding.from_dict(data["finding"]) if data["finding"] else None,
            without_source=None if without_source is None else Accuracy.from_dict(without_source),
            asked=data["asked"],
            losses=tuple(map(Score.from_dict, data["losses"])),
        )


@overload
def judge(baselines: Sequence[Score], model: Score | None = None) -> Verdict: ...
@overload
def judge(
    baselines: Sequence[Accuracy],
    model: Accuracy | None = None,
    *,
    without_source: Accuracy | None = None,
    asked: str = "questions",
    losses: Sequence[Score] = (),
) -> Verdict: ...
def judge(
    baselines: Sequence[Score] | Sequence[Accuracy],
    model: Score | Accuracy | None = None,
    *,
    without_source: Accuracy | None = None,
    asked: str = "questions",
    losses: Sequence[Score] = (),
) -> Verdict:
    """Rank a model among baselines (one or more), or rank these alone.

    Losses are compared per character, on the same text. Correct answers are compared by their share, or by
    BLEU if every share is under `RARE` and both the model and a baseline have BLEU. `without_source`, the
    model with its source hidden, is compared as a baseline, too.

    Raises UserError for a loss that is not finite, as after training that diverged.

    >>> table, gpt = Score("bigram", 2500.0, 1000, 1000), Score("gpt", 1500.0, 1000, 1000)
    >>> judge([table], gpt).finding.outcome
    'ok'
    >>> table, model = Accuracy("the most frequent answer", 310, 1000), Accuracy("this model", 972, 1000)
    >>> judge([table], model).sentence[:58]
    'The model answers 97.2 % of 1,000 unseen questions exactly'
    """
    scores = [row for row in baselines if isinstance(row, Score)]
    if scores:
        assert model is None or isinstance(model, Score)
        return _judge_losses(scores, model)
    answers = [row for row in baselines if isinstance(row, Accuracy)]
    assert model is None or isinstance(model, Accuracy)
    return _judge_answers(answers, model, without_source, asked, tuple(losses))


class Judgment(NamedTuple):
    """A statement, its outcome, and advice (empty if there is nothing to do)."""

    statement: str
    outcome: Outcome
    advice: str = ""

    @property
    def sentence(self) -> str:
        """Statement and advice in one sentence."""
        return f"{self.statement}; {self.advice}." if self.advice else f"{self.statement}."


def _judge_losses(baselines: Sequence[Score], model: Score | None) -> Verdict:
    if model and not math.isfinite(model.total_nats):
        raise UserError(
            f"{model.name}: the validation loss is {model.total_nats}, so it cannot be ranked: training "
            "diverged. Train again with a lower learning rate (`lr`, `muon_lr`)."
        )
    best = min(baselines, key=_loss)
    chance = 2 * NOISE / math.sqrt(best.n_chars)
    if chance > COARSE:
        judgment = _too_short(best, chance)
    elif model is None:
        judgment = _loss_to_beat(best)
    else:
        judgment = _compare_losses(baselines, best, model, chance)
    finding = None
    if model is not None:
        name = "validation loss, nats per character"
        finding = Finding(name, _loss(model), _loss(best), judgment.outcome, judgment.advice)
    return Verdict(model, tuple(sorted(baselines, key=_loss)), judgment.sentence, finding)


def _too_short(best: Score, chance: float) -> Judgment:
    statement = (
        "The held-out text is too short for a ranking to mean anything: over its "
        f"{best.n_chars:,} characters, differences up to {chance:.2f} nats per character are chance"
    )
    return Judgment(statement, "unclear", "give more text, or hold out more of it")


def _loss_to_beat(best: Score) -> Judgment:
    statement = (
        f"To be worth its training, a model must get below {_loss(best):.3f} nats per character, where "
        f"{_phrase(best)} gets by choosing in effect among {best.perplexity_per_char:.1f} characters"
    )
    return Judgment(statement, "unclear")


def _compare_losses(baselines: Sequence[Score], best: Score, model: Score, chance: float) -> Judgment:
    lead = _loss(best) - _loss(model)
    beaten = [score for score in baselines if _loss(score) - _loss(model) > chance]
    if lead > chance:
        statement = (
            f"The model beats every baseline: {_versus(model, best)}, it is {lead:.2f} better than "
            f"{_phrase(best)}, choosing in effect among {model.perplexity_per_char:.1f} characters "
            f"instead of {best.perplexity_per_char:.1f}"
        )
        return Judgment(statement, "ok")
    if lead >= -chance:
        statement = (
            f"The model is as good as {_phrase(best)}, the best baseline: {_versus(model, best)}, where "
            f"differences up to {chance:.3f} are chance"
        )
        return Judgment(statement, "unclear", "to get ahead, train longer or take a larger model")
    if beaten:
        statement = (
            f"The model is worse than {_phrase(best)}, though better than {_phrase(min(beaten, key=_loss))}: "
            f"{_versus(model, best)}, it is {-lead:.2f} behind"
        )
        return Judgment(statement, "warn", "train longer, take a larger model or give more text")
    worst = max(baselines, key=_loss)
    statement = f"The model is no better than {_phrase(worst)}, the worst baseline: {_versus(model, worst)}"
    advice = "lower the learning rate, or give more text if only its training loss is low"
    return Judgment(statement, "fail", advice)


def _loss(score: Score) -> float:
    return score.nats_per_char


def _versus(model: Score, other: Score) -> str:
    return f"at {_loss(model):.3f} nats per character against {_loss(other):.3f}"


def _phrase(score: Score) -> str:
    """Name a predictor inside a sentence."""
    if score.kind == "ngram":
        ngram, comma, rest = score.name.partition(",")
        return f"a table of counted {ngram}s{comma}{rest}"
    if score.kind == "uniform":
        return "a uniform guess"
    return f"the file compressor {score.name}" if score.kind == "compressor" else score.name


class Scale(NamedTuple):
    """A figure to rank answers by, with its texts and interval."""

    name: str
    value: Callable[[Accuracy], float]
    text: Callable[[float], str]
    opening: Callable[[Accuracy, str], str]
    interval: Callable[[Accuracy, Accuracy], float]
    interval_text: Callable[[float], str]


EXACT = Scale(
    "answers exactly right, share",
    lambda row: row.share,
    percent,
    lambda row, asked: f"The model answers {percent(row.share)} of {row.n:,} unseen {asked} exactly",
    share_interval,
    lambda interval: f"{100 * interval:.1f} percentage points",
)
BLEU = Scale(
    "BLEU",
    lambda row: row.figures.get("BLEU", -1.0),
    lambda value: f"{value:.1f} BLEU",
    lambda row, asked: f"The model's answers to {row.n:,} unseen {asked} get {row.figures['BLEU']:.1f} BLEU",
    bleu_interval,
    lambda interval: f"{interval:.1f} BLEU",
)


def _scale(rows: Sequence[Accuracy], model: Accuracy | None) -> Scale:
    """Choose BLEU if few answers are exactly correct and both sides have it."""
    others = [row for row in rows if row is not model]
    by_bleu = all(row.share < RARE for row in rows) and any("BLEU" in row.figures for row in others)
    return BLEU if by_bleu and (model is None or "BLEU" in model.figures) else EXACT


def _ranked(rows: Sequence[Accuracy], scale: Scale) -> tuple[Accuracy, ...]:
    return tuple(sorted(rows, key=scale.value, reverse=True))


def _judge_answers(
    baselines: Sequence[Accuracy],
    model: Accuracy | None,
    without_source: Accuracy | None,
    asked: str,
    losses: tuple[Score, ...],
) -> Verdict:
    others = [*baselines, without_source] if without_source else list(baselines)
    scale = _scale([*others, model] if model else others, model)
    compared = [row for row in others if scale.value(row) >= 0]
    best, ranked = max(compared, key=scale.value), _ranked(baselines, scale)
    if model is None:
        sentence = (
            f"To be worth its training, a model must get above {scale.text(scale.value(best))} on {best.n:,} "
            f"unseen {asked}, which {best.name} alone would get."
        )
        return Verdict(None, ranked, sentence, None, without_source, asked, losses)
    judgment = _compare_answers(scale, compared, best, model)
    sentence = f"{scale.opening(model, asked)}{judgment.sentence}"
    value, expected = scale.value(model), scale.value(best)
    finding = Finding(scale.name, value, expected, judgment.outcome, judgment.advice)
    return Verdict(model, ranked, sentence, finding, without_source, asked, losses)


def _compare_answers(
    scale: Scale, baselines: Sequence[Accuracy], best: Accuracy, model: Accuracy
) -> Judgment:
    """Return the continuation of the scale's opening."""

    def would_get(row: Accuracy) -> str:
        return f"{row.name} alone would get {scale.text(scale.value(row))}"

    def lead(row: Accuracy) -> float:
        return scale.value(model) - scale.value(row)

    chance = scale.interval(model, best)
    beaten = [row for row in baselines if lead(row) > scale.interval(model, row)]
    if best in beaten:
        return Judgment(f"; {would_get(best)}", "ok")
    if lead(best) >= -chance:
        statement = f", and {would_get(best)}: differences up to {scale.interval_text(chance)} are chance"
        advice = "to get ahead, train longer, or hold out more to measure smaller differences"
        return Judgment(statement, "unclear", advice)
    if beaten:
        next_best = max(beaten, key=scale.value)
        statement = (
            f": more than {next_best.name} alone would get ({scale.text(scale.value(next_best))}), but less "
            f"than {best.name} ({scale.text(scale.value(best))})"
        )
        return Judgment(statement, "warn", "train longer, take a larger model or give more examples")
    worst = min(baselines, key=scale.value)
    statement = f", no better than the worst baseline: {would_get(worst)}"
    advice = "lower the learning rate, or give more examples if only its training loss is low"
    return Judgment(statement, "fail", advice)


def _row_to_dict(row: Score | Accuracy | None) -> dict[str, Any] | None:
    return None if row is None else row.to_dict()


def _row_from_dict(data: dict[str, Any]) -> Score | Accuracy:
    return Score.from_dict(data) if "total_nats" in data else Accuracy.from_dict(data)


def _of_one_type(rows: Sequence[Score | Accuracy]) -> tuple[Score, ...] | tuple[Accuracy, ...]:
    scores = tuple(row for row in rows if isinstance(row, Score))
    accuracies = tuple(row for row in rows if isinstance(row, Accuracy))
    if scores and accuracies:
        raise ValueError("baselines mix losses and correct answers")
    return scores or accuracies
