"""Ablation: switch off one head at a time and measure the loss on held-out data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from glassgpt.checkpoint import Run
from glassgpt.data import (
    IGNORE,
    Batch,
    answer_fields,
)
from glassgpt.diagnose import Finding
from glassgpt.hooks import edit, n_heads, zero_heads
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.objective import evaluate
from glassgpt.tasks import task_of
from glassgpt.tokenizers import Tokenizer

Figures = Mapping[str, float]
"""Measured figures by name: the loss under LOSS, shares of correct answers under EXACT and names of
fields."""
LOSS = N_("nats/token")
EXACT = N_("exact")
CLEAR_POINTS, CLEAR_RATIO = 5.0, 0.2
"""A head serves one field if that loses 5 points without it, and each other field at most a fifth of that."""
SMALL_LOSS = 0.01
"""Nats by which the loss must rise without a head to count."""


@dataclass(frozen=True)
class Ablation:
    """Held-out figures of a model with one head switched off."""

    attention: str
    """Path of the attention module."""
    head: int
    figures: Figures


def ablate(model: Model, measure: Callable[[], Figures]) -> list[Ablation]:
    """Call `measure` once for each head, with the output of that head set to zero."""
    found = []
    for name, n in n_heads(model).items():
        for head in range(n):
            with edit(model, {name: zero_heads(head)}):
                found.append(Ablation(name.removesuffix(".heads"), head, measure()))
    return found


def held_out_figures(
    run: Run, model: Model, tokenizer: Tokenizer, n: int | None = None
) -> Callable[[], Figures]:
    """Return a function that measures a model on the held-out data of its run.

    It returns the loss in nats per predicted token. For models with answers it adds the share of correct
    answers and of correct fields, such as the month of a date. Each token is predicted after the correct
    tokens before it. n: number of examples, by default 400, or of windows of text, by default 64. Raises
    UserError if the run has no data.
    """
    config = run.config()
    data = task_of(config).data.open(config, tokenizer, run)
    batches = [data.probe_batch(n)]
    fields = {} if config.model.labels else answer_fields(config.data.sources)

    def measure() -> Figures:
        measured = evaluate(model, batches, count_correct=data.has_answers)
        figures = {LOSS: measured.nats_per_token}
        if measured.exact is not None:
            figures |= {EXACT: measured.exact} | answer_parts(model, tokenizer, batches, fields)
        return figures

    return measure


@torch.inference_mode()
def answer_parts(
    model: Model, tokenizer: Tokenizer, batches: Sequence[Batch], fields: Mapping[str, slice]
) -> dict[str, float]:
    """Return the share of answers in which each field is correct.

    fields: the position of each field in the text of an answer.
    """
    pairs = [pair for batch in batches for pair in _answers(model, tokenizer, batch)] if fields else []
    return {
        name: sum(predicted[place] == correct[place] for predicted, correct in pairs) / len(pairs)
        for name, place in fields.items()
    }


def _answers(model: Model, tokenizer: Tokenizer, batch: Batch) -> list[tuple[str, str]]:
    """Pairs of the predicted and the correct answer of each row."""
    batch = batch.to(model.device)
    predicted = model.predict(batch.tokens, batch.source, batch.source_of).argmax(-1)  # (B, T)
    rows = zip(predicted, batch.targets, batch.targets != IGNORE, strict=True)
    return [
        (tokenizer.decode(ids[mask].tolist()), tokenizer.decode(correct[mask].tolist()))
        for ids, correct, mask in rows
    ]


def most_important_head(whole: Figures, found: Sequence[Ablation]) -> Finding:
    """Return the head that serves one field of the answers, or else the head with the largest loss.

    whole: figures with all heads. Observed are points of a field, or nats of loss, that this head is worth; a
    head without effect would have 0. The verdict is `unclear` if no single head matters.
    """
    fields = [name for name in whole if name not in (LOSS, EXACT)]

    def points(each: Ablation, field: str) -> float:
        return 100 * (whole[field] - each.figures[field])

    def is_clear(each: Ablation, field: str) -> bool:
        others = [points(each, other) for other in fields if other != field]
        return points(each, field) >= CLEAR_POINTS and max(others, default=0.0) <= CLEAR_RATIO * points(
            each, field
        )

    clear = [
        (points(each, field), field, each) for each in found for field in fields if is_clear(each, field)
    ]
    if clear:
        lost, field, each = max(clear, key=lambda item: item[0])
        rest = ", ".join(f"{other} {points(each, other):.0f}" for other in fields if other != field)
        where = N_("{attention} head {head}", attention=each.attention, head=each.head)
        advice = N_(
            "{place} serves “{field}”: without it {lost:.0f} points fewer are correct ({rest}).",
            place=where,
            field=field,
            lost=lost,
            rest=rest,
        )
        return Finding(
            N_("points of “{field}” lost without {place}", field=field, place=where), lost, 0.0, "ok", advice
        )
    worst = max(found, key=lambda each: each.figures[LOSS])
    where = N_("{attention} head {head}", attention=worst.attention, head=worst.head)
    more = worst.figures[LOSS] - whole[LOSS]
    name = N_("nats of loss added without {place}", place=where)
    if more < SMALL_LOSS:
        return Finding(
            name, more, 0.0, "unclear", N_("No single head matters: other heads do the same work.")
        )
    advice = N_("{place} matters most: without it the loss rises by {more:.2f} nats.", place=where, more=more)
    return Finding(name, more, 0.0, "ok", advice)
