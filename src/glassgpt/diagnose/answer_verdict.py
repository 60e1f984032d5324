"""The verdict about a model that answers: correct answers, or BLEU, compared with the baselines'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from glassgpt.diagnose.accuracy import RARE, Accuracy, bleu_interval, percent, share_interval
from glassgpt.diagnose.advice import Judgment, judged
from glassgpt.diagnose.curve import Trend
from glassgpt.diagnose.finding import Finding
from glassgpt.diagnose.margin import Margin

EXAMPLES = "examples"


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


def scale_of(rows: Sequence[Accuracy], model: Accuracy | None) -> Scale:
    """Choose BLEU if few answers are exactly correct and both sides have it."""
    others = [row for row in rows if row is not model]
    by_bleu = all(row.share < RARE for row in rows) and any("BLEU" in row.figures for row in others)
    return BLEU if by_bleu and (model is None or "BLEU" in model.figures) else EXACT


def ranked(rows: Sequence[Accuracy], scale: Scale) -> tuple[Accuracy, ...]:
    return tuple(sorted(rows, key=scale.value, reverse=True))


def compare_answers(
    baselines: Sequence[Accuracy],
    model: Accuracy | None,
    without_source: Accuracy | None,
    asked: str,
    trend: Trend | None = None,
) -> tuple[tuple[Accuracy, ...], str, Finding | None]:
    """Return the baselines, best first, a sentence, and the finding about the model."""
    others = [*baselines, without_source] if without_source else list(baselines)
    scale = scale_of([*others, model] if model else others, model)
    compared = [row for row in others if scale.value(row) >= 0]
    best, rows = max(compared, key=scale.value), ranked(baselines, scale)
    if model is None:
        sentence = (
            f"To be worth its training, a model must get above {scale.text(scale.value(best))} on {best.n:,} "
            f"unseen {asked}, which {best.name} alone would get."
        )
        return rows, sentence, None
    judgment = _compare(scale, compared, best, model, trend)
    value, expected = scale.value(model), scale.value(best)
    finding = Finding(scale.name, value, expected, judgment.outcome, judgment.advice)
    return rows, f"{scale.opening(model, asked)}{judgment.sentence}", finding


def answer_margin(baselines: Sequence[Accuracy], model: Accuracy) -> Margin:
    """Return the lead of a model over the best baseline, in the figure that ranks them."""
    scale = scale_of([*baselines, model], model)
    best = max(baselines, key=scale.value)
    return Margin(best.name, scale.value(model) - scale.value(best), scale.interval(model, best), scale.name)


def _compare(
    scale: Scale, baselines: Sequence[Accuracy], best: Accuracy, model: Accuracy, trend: Trend | None
) -> Judgment:
    """Return the continuation of the scale's opening."""

    def would_get(row: Accuracy) -> str:
        return f"{row.name} alone would get {scale.text(scale.value(row))}"

    def lead(row: Accuracy) -> float:
        return scale.value(model) - scale.value(row)

    chance = scale.interval(model, best)
    beaten = [row for row in baselines if lead(row) > scale.interval(model, row)]
    if best in beaten:
        return judged(f"; {would_get(best)}", "ok", trend, more=EXAMPLES)
    if lead(best) >= -chance:
        limit = scale.interval_text(chance)
        statement = f", and {would_get(best)}: too close to tell, as differences up to {limit} are chance"
        return judged(statement, "unclear", trend, more=EXAMPLES)
    if beaten:
        next_best = max(beaten, key=scale.value)
        statement = (
            f": more than {next_best.name} alone would get ({scale.text(scale.value(next_best))}), but less "
            f"than {best.name} ({scale.text(scale.value(best))})"
        )
        return judged(statement, "warn", trend, more=EXAMPLES)
    worst = min(baselines, key=scale.value)
    statement = f", no better than the worst baseline: {would_get(worst)}"
    return judged(statement, "fail", trend, more=EXAMPLES)
