"""What each head is for: switched off one at a time, and what a model then gets wrong on held-out data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from glassgpt.checkpoint import Run
from glassgpt.data import (
    IGNORE,
    MASK,
    Batch,
    eval_batches,
    eval_mask,
    masked_eval_batches,
    open_examples,
    open_tokens,
)
from glassgpt.errors import UserError
from glassgpt.models import MaskedLM, Model
from glassgpt.record import edit, n_heads, zero_heads
from glassgpt.tokenizers import Tokenizer

Figures = Mapping[str, float]
LOSS, EXACT = "nats/token", "exact"
PARTS: dict[tuple[str, ...], dict[str, slice]] = {
    ("dates",): {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}
}
"""For the sources of a task whose answers have parts, where each part stands in an answer's text."""
WINDOWS = 64
"""Windows of running text that are measured on."""


@dataclass(frozen=True)
class Ablation:
    """What a model reached on held-out data with one head switched off."""

    attention: str
    """The attention's path."""
    head: int
    figures: Figures


def ablate(model: Model, measure: Callable[[], Figures]) -> list[Ablation]:
    """Measure once for each head, with this head switched off: what it gathered becomes zero."""
    found = []
    for name, n in n_heads(model).items():
        for head in range(n):
            with edit(model, {name: zero_heads(head)}):
                found.append(Ablation(name.removesuffix(".heads"), head, measure()))
    return found


def held_out_figures(run: Run, model: Model, tokenizer: Tokenizer, n: int = 400) -> Callable[[], Figures]:
    """How to measure a model on the held-out data of its run.

    Measured are the loss in nats per predicted token and, where answers are learned, the share of those that
    are right: whole, and by the parts of the task where it has some. Each token is predicted after the
    right ones before it. n: examples of them; of running text it is 64 windows. Raises UserError where the
    run has no data any more.
    """
    config = run.config()
    if (run.data / "manifest.json").is_file():
        batches = _text_batches(run, model, tokenizer)
        return lambda: _measure(model, batches)
    split = open_examples(run.data).val
    batches = [split.batch(np.arange(min(n, len(split))))]
    if config.model.labels:
        return lambda: _measure(model, batches, exact=True)
    parts = PARTS.get(config.data.sources, {})
    return lambda: _measure(model, batches, exact=True) | answer_parts(model, tokenizer, batches, parts)


def _text_batches(run: Run, model: Model, tokenizer: Tokenizer) -> list[Batch]:
    data, T = open_tokens(run.data), model.config.block_size
    if isinstance(model, MaskedLM):
        hidden = eval_mask(len(data.val), run.config().train.seed)
        batches = masked_eval_batches(data.val, hidden, T, WINDOWS, tokenizer.specials[MASK])
    else:
        batches = eval_batches(data, T, WINDOWS)
    first = next(iter(batches), None)
    if first is None:
        raise UserError(f"{run.path} has no held-out text to measure on; train it anew with more")
    return [first]


@torch.inference_mode()
def _measure(model: Model, batches: list[Batch], exact: bool = False) -> dict[str, float]:
    total, n_tokens, n_correct, n_rows = 0.0, 0, 0, 0
    for batch in batches:
        tokens, targets, source, source_of = batch.to(model.device)
        logits = model.predict(tokens, source, source_of)
        total += F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum").item()
        n_tokens += int((targets != IGNORE).sum())
        n_correct += int(((logits.argmax(-1) == targets) | (targets == IGNORE)).all(-1).sum())
        n_rows += len(targets)
    figures = {LOSS: total / n_tokens}
    return figures | ({EXACT: n_correct / n_rows} if exact else {})


@torch.inference_mode()
def answer_parts(
    model: Model, tokenizer: Tokenizer, batches: list[Batch], parts: Mapping[str, slice]
) -> dict[str, float]:
    """The share of answers in which a part is right."""
    pairs = [pair for batch in batches for pair in _answers(model, tokenizer, batch)] if parts else []
    return {
        name: sum(said[place] == right[place] for said, right in pairs) / len(pairs)
        for name, place in parts.items()
    }


def _answers(model: Model, tokenizer: Tokenizer, batch: Batch) -> list[tuple[str, str]]:
    """What the model says, and what is right."""
    batch = batch.to(model.device)
    likeliest = model.predict(batch.tokens, batch.source, batch.source_of).argmax(-1)
    asked = batch.targets != IGNORE
    rows = zip(likeliest, batch.targets, asked, strict=True)
    return [
        (tokenizer.decode(said[mask].tolist()), tokenizer.decode(right[mask].tolist()))
        for said, right, mask in rows
    ]
