"""The verdict about a model that answers: correct answers, or BLEU, compared with the baselines'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from glassgpt.diagnose.accuracy import RARE, Accuracy, bleu_interval, percent, share_interval
from glassgpt.diagnose.advice import Judgment, judged
from glassgpt.diagnose.curve import Trend
from glassgpt.diagnose.finding import Finding
from glassgpt.diagnose.margin import Margin
from glassgpt.diagnose.score import row_title
from glassgpt.language import N_

EXAMPLES = N_("examples")


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
    lambda row, asked: N_(
        "The model answers {share} of {n:,} unseen {asked} exactly",
        share=percent(row.share),
        n=row.n,
        asked=N_(asked),
    ),
    share_interval,
    lambda interval: N_("{points:.1f} percentage points", points=100 * interval),
)
BLEU = Scale(
    "BLEU",
    lambda row: row.figures.get("BLEU", -1.0),
    lambda value: f"{value:.1f} BLEU",
    lambda row, asked: N_(
        "The model's answers to {n:,} unseen {asked} get {bleu:.1f} BLEU",
        n=row.n,
        asked=N_(asked),
        bleu=row.figures["BLEU"],
    ),
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
        sentence = N_(
            "To be worth its training, a model must get above {figure} on {n:,} unseen {asked}, which {best} "
            "alone would get.",
            figure=scale.text(scale.value(best)),
            n=best.n,
            asked=N_(asked),
            best=row_title(best.name),
        )
        return rows, sentence, None
    judgment = _compare(scale, compared, best, model, trend)
    value, expected = scale.value(model), scale.value(best)
    finding = Finding(scale.name, value, expected, judgment.outcome, judgment.advice)
    opening = scale.opening(model, asked)
    return rows, N_("{opening}{rest}", opening=opening, rest=judgment.sentence), finding


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
        figure = scale.text(scale.value(row))
        return N_("{name} alone would get {figure}", name=row_title(row.name), figure=figure)

    def lead(row: Accuracy) -> float:
        return scale.value(model) - scale.value(row)

    chance = scale.interval(model, best)
    beaten = [row for row in baselines if lead(row) > scale.interval(model, row)]
    if best in beaten:
        return judged(N_("; {would_get}", would_get=would_get(best)), "ok", trend, more=EXAMPLES)
    if lead(best) >= -chance:
        statement = N_(
            ", and {would_get}: too close to tell, as differences up to {limit} are chance",
            would_get=would_get(best),
            limit=scale.interval_text(chance),
        )
        judgment = judged(statement, "unclear", trend, more=EXAMPLES)
        return judgment._replace(advice="") if model.share == 1 else judgment  # nothing is left to gain
    if beaten:
        next_best = max(beaten, key=scale.value)
        statement = N_(
            ": more than {next_best} alone would get ({lower}), but less than {best} ({figure})",
            next_best=row_title(next_best.name),
            lower=scale.text(scale.value(next_best)),
            best=row_title(best.name),
            figure=scale.text(scale.value(best)),
        )
        return judged(statement, "warn", trend, more=EXAMPLES)
    worst = min(baselines, key=scale.value)
    statement = N_(", no better than the worst baseline: {would_get}", would_get=would_get(worst))
    return judged(statement, "fail", trend, more=EXAMPLES)
