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
from glassgpt.diagnose.score import Score, row_title
from glassgpt.errors import UserError
from glassgpt.language import N_, Translatable, join_texts, restored

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
    name = N_("validation loss, nats per character")
    finding = Finding(name, _loss(model), _loss(best), judgment.outcome, judgment.advice)
    return rows, judgment.sentence, finding


LEFT_OUT = N_("no row for {names}: only the loss on the whole held-out text is known")
PHRASES = (
    N_("a table of counted {ngram}s"),
    N_("a uniform guess among {n:.0f} characters"),
    N_("the file compressor {name}"),
)
"""Names of predictors by `phrase`, as templates."""


def left_out_notes(baselines: Sequence[Score], rows: Sequence[Score]) -> list[str]:
    """Return a remark on the baselines that have no row; empty if all have one."""
    shown = {row.name for row in rows}
    names = [phrase(score) for score in baselines if score.name not in shown]
    if not names:
        return []
    return [N_(LEFT_OUT, names=join_texts(", ", names))]


def restored_note(note: str) -> str:
    """Return a note of a stored verdict about baselines without a row as a text that `_` translates.

    Others stay as they are.

    >>> note = "no row for the file compressor xz: only the loss on the whole held-out text is known"
    >>> restored_note(note).values
    {'names': 'the file compressor xz'}
    """
    found = restored(note, [LEFT_OUT])
    if not isinstance(found, Translatable):
        return note
    names = [restored(name, PHRASES) for name in str(found.values["names"]).split(", ")]
    return N_(LEFT_OUT, names=join_texts(", ", names))


def loss_margin(model: Score, best: Score) -> Margin | None:
    """Return the lead of a model over the best baseline; None if the text is too short for a ranking."""
    if best.n_chars < MIN_CHARS:
        return None
    return Margin(best.name, _loss(best) - _loss(model), loss_interval(model, best), "nats per character")


def _too_short(best: Score) -> Judgment:
    chance = 2 * TYPICAL_NOISE / math.sqrt(best.n_chars)
    statement = N_(
        "The held-out text is too short for a ranking to mean anything: over its {n_chars:,} characters, "
        "differences up to {chance:.2f} nats per character are chance",
        n_chars=best.n_chars,
        chance=chance,
    )
    return Judgment(statement, "unclear", advice=N_("give more text, or hold out more of it"))


def _loss_to_beat(best: Score) -> Judgment:
    statement = N_(
        "To be worth its training, a model must get below {loss:.3f} nats per character, where {best} gets "
        "by choosing in effect among {perplexity:.1f} characters",
        loss=_loss(best),
        best=phrase(best),
        perplexity=best.perplexity_per_char,
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
        statement = N_(
            "The held-out text leaves nothing to predict: {best} gets {loss:.3f}",
            best=phrase(best),
            loss=_loss(best),
        )
        return Judgment(statement, "unclear", advice=N_("give a text that varies"))
    if lead > chance and _loss(model) < SUSPICIOUS * _loss(best):
        statement = N_(
            "The model is suspiciously good: {versus}, it has less than half the loss of {best}. It may have "
            "seen the held-out text",
            versus=versus,
            best=phrase(best),
        )
        return Judgment(statement, "warn", advice=N_("look for copies of it in the training text"))
    if lead > chance:
        statement = N_(
            "The model beats every baseline: {versus}, it is {lead:.2f} ± {chance:.2f} better than {best}, "
            "choosing in effect among {perplexity:.1f} characters instead of {best_perplexity:.1f}",
            versus=versus,
            lead=lead,
            chance=chance,
            best=phrase(best),
            perplexity=model.perplexity_per_char,
            best_perplexity=best.perplexity_per_char,
        )
        return judged(statement, "ok", trend, limit)
    if lead >= -chance:
        statement = N_(
            "It is too close to tell whether the model is better than {best}, the best baseline: {versus}, "
            "where differences up to {chance:.3f} are chance",
            best=phrase(best),
            versus=versus,
            chance=chance,
        )
        return judged(statement, "unclear", trend, limit)
    if beaten:
        statement = N_(
            "The model is worse than {best}, though better than {other}: {versus}, it is {behind:.2f} ± "
            "{chance:.2f} behind",
            best=phrase(best),
            other=phrase(beaten[0]),
            versus=versus,
            behind=-lead,
            chance=chance,
        )
        return judged(statement, "warn", trend, limit)
    statement = N_(
        "The model is no better than {worst}, the worst baseline: {versus}",
        worst=phrase(worst),
        versus=_versus(model, worst),
    )
    return judged(statement, "fail", trend, limit)


def _loss(score: Score) -> float:
    return score.nats_per_char


def _versus(model: Score, other: Score) -> str:
    return N_("at {loss:.3f} nats per character against {other:.3f}", loss=_loss(model), other=_loss(other))


def phrase(score: Score) -> str:
    """Name a predictor inside a sentence."""
    if score.kind == "ngram":
        ngram, _, rest = score.name.partition(", ")
        if rest:
            return N_("a table of counted {ngram}s, {rest}", ngram=row_title(ngram), rest=N_(rest))
        return N_("a table of counted {ngram}s", ngram=row_title(ngram))
    if score.kind == "uniform":
        n = score.perplexity_per_char
        if abs(n - round(n)) < 0.01:
            return N_("a uniform guess among {n:.0f} characters", n=n)
        return N_("a uniform guess")
    return (
        N_("the file compressor {name}", name=score.name)
        if score.kind == "compressor"
        else row_title(score.name)
    )
