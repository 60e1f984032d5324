"""The verdict about a model with a loss: compared with the baselines' on the same held-out text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from glassgpt.diagnose.accuracy import Accuracy
from glassgpt.diagnose.advice import NEAR, Judgment, judged
from glassgpt.diagnose.curve import Trend
from glassgpt.diagnose.finding import Finding
from glassgpt.diagnose.interval import TYPICAL_NOISE, loss_interval
from glassgpt.diagnose.margin import Margin
from glassgpt.diagnose.score import Score
from glassgpt.errors import UserError

MIN_CHARS = 400
"""No ranking on fewer characters: differences of 0.2 nats may be chance there."""
SUSPICIOUS = 0.5
"""A loss below this share of the best baseline's is suspicious: the held-out text may not be unseen."""
NOTHING_LEFT = 0.01
"""Nats per character of a text that counting predicts perfectly."""


def compare_losses(
    baselines: Sequence[Score], model: Score | None, trend: Trend | None = None, family: str = "gpt"
) -> tuple[tuple[Score, ...], str, Finding | None]:
    """Return the baselines, best first, a sentence, and the finding about the model.

    A model that was measured on some parts of the text is compared on these; a baseline whose loss there is
    unknown is left out.
    """
    if model is None:
        rows = tuple(sorted(baselines, key=_loss))
        best = rows[0]
        return rows, (_too_short(best) if best.n_chars < MIN_CHARS else _loss_to_beat(best)).sentence, None
    if not math.isfinite(model.total_nats):
        raise UserError(
            "{name}: the validation loss is {total_nats}, so it cannot be ranked: training diverged. Train "
            "again with a lower learning rate (`lr`, `muon_lr`).",
            name=model.name,
            total_nats=model.total_nats,
        )
    same = [score for row in baselines if (score := row.on_parts_of(model)) is not None]
    rows = tuple(sorted(same, key=_loss))
    best = rows[0]
    limit = table_limit(baselines) if family == "bigram" else None
    judgment = _too_short(best) if best.n_chars < MIN_CHARS else _compare(rows, model, trend, limit)
    name = "validation loss, nats per character"
    finding = Finding(name, _loss(model), _loss(best), judgment.outcome, judgment.advice)
    return rows, judgment.sentence, finding


def loss_margin(model: Score, best: Score) -> Margin | None:
    """Return the lead of a model over the best baseline; None if the text is too short for a ranking."""
    if best.n_chars < MIN_CHARS:
        return None
    return Margin(best.name, _loss(best) - _loss(model), loss_interval(model, best), "nats per character")


def _too_short(best: Score) -> Judgment:
    chance = 2 * TYPICAL_NOISE / math.sqrt(best.n_chars)
    statement = (
        "The held-out text is too short for a ranking to mean anything: over its "
        f"{best.n_chars:,} characters, differences up to {chance:.2f} nats per character are chance"
    )
    return Judgment(statement, "unclear", advice="give more text, or hold out more of it")


def _loss_to_beat(best: Score) -> Judgment:
    statement = (
        f"To be worth its training, a model must get below {_loss(best):.3f} nats per character, where "
        f"{phrase(best)} gets by choosing in effect among {best.perplexity_per_char:.1f} characters"
    )
    return Judgment(statement, "unclear")


def table_limit(baselines: Iterable[Score | Accuracy]) -> float:
    """Return the loss of counted bigrams in nats per character, which a bigram table approaches; else NaN."""
    counted = (row for row in baselines if isinstance(row, Score) and row.name == "bigram")
    return next((row.nats_per_char for row in counted), math.nan)


def is_at_limit(model: Score | Accuracy | None, baselines: Iterable[Score | Accuracy]) -> bool:
    """True for the loss of a bigram table that is about that of counted bigrams.

    >>> counted, table = Score("bigram", 2484.0, 1000, 1000, kind="ngram"), Score("model", 2512.0, 1000, 1000)
    >>> is_at_limit(table, [counted])
    True
    """
    return isinstance(model, Score) and model.nats_per_char < NEAR * table_limit(baselines)


def _compare(rows: Sequence[Score], model: Score, trend: Trend | None, limit: float | None) -> Judgment:
    """Judge a model among baselines; rows: best first. limit: the lowest loss that the model can reach."""
    best, worst = rows[0], rows[-1]
    lead, chance = _loss(best) - _loss(model), loss_interval(model, best)
    beaten = [score for score in rows if _loss(score) - _loss(model) > loss_interval(model, score)]
    versus = _versus(model, best)
    if _loss(best) < NOTHING_LEFT and lead >= -NOTHING_LEFT:
        statement = f"The held-out text leaves nothing to predict: {phrase(best)} gets {_loss(best):.3f}"
        return Judgment(statement, "unclear", advice="give a text that varies")
    if lead > chance and _loss(model) < SUSPICIOUS * _loss(best):
        statement = (
            f"The model is suspiciously good: {versus}, it has less than half the loss of {phrase(best)}. "
            "It may have seen the held-out text"
        )
        return Judgment(statement, "warn", advice="look for copies of it in the training text")
    if lead > chance:
        statement = (
            f"The model beats every baseline: {versus}, it is {lead:.2f} ± {chance:.2f} better than "
            f"{phrase(best)}, choosing in effect among {model.perplexity_per_char:.1f} characters "
            f"instead of {best.perplexity_per_char:.1f}"
        )
        return judged(statement, "ok", trend, limit)
    if lead >= -chance:
        statement = (
            f"It is too close to tell whether the model is better than {phrase(best)}, the best baseline: "
            f"{versus}, where differences up to {chance:.3f} are chance"
        )
        return judged(statement, "unclear", trend, limit)
    if beaten:
        statement = (
            f"The model is worse than {phrase(best)}, though better than {phrase(beaten[0])}: "
            f"{versus}, it is {-lead:.2f} ± {chance:.2f} behind"
        )
        return judged(statement, "warn", trend, limit)
    statement = f"The model is no better than {phrase(worst)}, the worst baseline: {_versus(model, worst)}"
    return judged(statement, "fail", trend, limit)


def _loss(score: Score) -> float:
    return score.nats_per_char


def _versus(model: Score, other: Score) -> str:
    return f"at {_loss(model):.3f} nats per character against {_loss(other):.3f}"


def phrase(score: Score) -> str:
    """Name a predictor inside a sentence."""
    if score.kind == "ngram":
        ngram, comma, rest = score.name.partition(",")
        return f"a table of counted {ngram}s{comma}{rest}"
    if score.kind == "uniform":
        n = score.perplexity_per_char
        return f"a uniform guess among {n:.0f} characters" if abs(n - round(n)) < 0.01 else "a uniform guess"
    return f"the file compressor {score.name}" if score.kind == "compressor" else score.name
