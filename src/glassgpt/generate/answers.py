"""Inference of trained models: translate, answer questions about an image, classify a text.

One function per family, as the commands call them. Templates (glassgpt.data) turn texts into ids; beam.py
searches for answers; fill_mask.py fills masks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from glassgpt.data import (
    Example,
    ImageTemplate,
    LabelTemplate,
    PairTemplate,
    Ragged,
    group_by_length,
)
from glassgpt.errors import UserError
from glassgpt.generate.beam import beam_search
from glassgpt.generate.decoder import eval_mode
from glassgpt.models import Captioner, Classifier, Seq2Seq
from glassgpt.nn import PAD
from glassgpt.tokenizers import Tokenizer

POOL = 1024
"""Number of texts sorted by length together: little padding, and an early first answer."""

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """A model's answer about an image."""

    text: str
    probability: float
    """Probability of exactly this text and its end token, under the model."""


def translate(
    model: Seq2Seq,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    beams: int = 4,
    batch_tokens: int = 4096,
    max_new_tokens: int | None = None,
) -> Iterator[str]:
    """Translate each text, in order; an empty line stays empty.

    batch_tokens: source tokens per batch, padding and beams included. A translation is cut after
    `max_new_tokens`, by default 4 times the tokens of the longest source in its batch plus 50, and at the end
    of the context. Raises UserError at once if a text is longer than the context.
    """
    template = PairTemplate(tokenizer)
    sources = _encode_all(texts, lambda text: _source_ids(model, template, text))

    @torch.inference_mode()
    def translate_batch(source: Tensor) -> Iterable[str]:
        most = 4 * source.shape[1] + 50 if max_new_tokens is None else max_new_tokens
        with eval_mode(model):
            memory = model.encode(source.to(model.device))
        prompt = template.prompt(Example(""))
        found = beam_search(model, memory, prompt, eos_id=template.end, beams=beams, max_new_tokens=most)
        return [tokenizer.decode(texts[0].ids) for texts in found]

    translations = _in_batches([s for s in sources if s], batch_tokens // max(1, beams), translate_batch)
    return (next(translations) if source else "" for source in sources)


def check_source(model: Seq2Seq | Classifier, tokenizer: Tokenizer, text: str) -> None:
    """Raise UserError if `translate` or `classify` cannot use a text."""
    if isinstance(model, Seq2Seq):
        _source_ids(model, PairTemplate(tokenizer), text)
    else:
        _text_ids(LabelTemplate(tokenizer, model.config.labels, model.config.block_size), text)


def _source_ids(model: Seq2Seq, template: PairTemplate, text: str) -> Sequence[int]:
    """Return the ids of a text to translate; none for an empty line."""
    ids, block_size = template.source(Example("", text)) if text.strip() else (), model.config.block_size
    if len(ids) > block_size:
        raise UserError(
            "the text has {n_ids:,} tokens, and the model sees {block_size:,} at once. Split it, for "
            "example into sentences, or train a model with a larger `block_size`.",
            n_ids=len(ids),
            block_size=block_size,
        )
    return ids


def _text_ids(template: LabelTemplate, text: str) -> Sequence[int]:
    """Return the ids of a text to classify."""
    if ids := template.source(Example("", text)):
        return ids
    raise UserError("an empty text has no class. Leave it out.")


def _encode_all(texts: Sequence[str], encode: Callable[[str], Sequence[int]]) -> list[Sequence[int]]:
    """Return the ids of all texts. An error names the number of its text."""
    rows: list[Sequence[int]] = []
    for number, text in enumerate(texts, 1):
        try:
            rows.append(encode(text))
        except UserError as error:
            raise UserError("text {number}: {error}", number=number, error=error) from error
    return rows


@torch.inference_mode()
def answer(
    model: Captioner,
    tokenizer: Tokenizer,
    image: np.ndarray,
    question: str = "",
    *,
    beams: int = 1,
    max_new_tokens: int | None = None,
) -> Answer:
    """Answer a question about an image; without a question, caption it.

    image: (channels, image_size, image_size) of uint8, as in the model's configuration. Raises UserError for
    any other image, and for a question that fills the context.
    """
    config, template = model.config, ImageTemplate(tokenizer)
    wanted = (config.channels, config.image_size, config.image_size)
    if image.shape != wanted or image.dtype != np.uint8:
        raise UserError(
            "the image is {dtype} of shape {shape}, but the model takes uint8 of shape {wanted}. Convert it "
            "first.",
            dtype=image.dtype,
            shape=image.shape,
            wanted=wanted,
        )
    prompt = template.prompt(Example("", question=question))
    if len(prompt) > config.block_size:
        raise UserError(
            "the question makes a prompt of {n_prompt:,} tokens, and the model sees {block_size:,}. Shorten "
            "the question.",
            n_prompt=len(prompt),
            block_size=config.block_size,
        )
    with eval_mode(model):
        memory = model.encode(torch.tensor(image[None], device=model.device))
    most = config.block_size if max_new_tokens is None else max_new_tokens
    found = beam_search(model, memory, prompt, eos_id=template.end, beams=beams, max_new_tokens=most)
    best = found[0][0]
    return Answer(tokenizer.decode(best.ids), math.exp(best.logprob))


def classify(
    model: Classifier, tokenizer: Tokenizer, texts: Sequence[str], *, batch_tokens: int = 16_384
) -> Iterator[dict[str, float]]:
    """Compute the class probabilities of each text, most likely class first.

    A text longer than the context is cut at its end, as in training. batch_tokens: tokens per batch, padding
    included. Raises UserError at once if a text is empty.
    """
    labels = model.config.labels
    template = LabelTemplate(tokenizer, labels, model.config.block_size)
    sources = _encode_all(texts, lambda text: _text_ids(template, text))

    @torch.inference_mode()
    def classify_batch(tokens: Tensor) -> Iterable[dict[str, float]]:
        with eval_mode(model):
            p = model(tokens.to(model.device))[:, 0].float().softmax(-1)  # (B, n_class)
        ordered = p.sort(dim=-1, descending=True, stable=True)
        rows = zip(ordered.indices.tolist(), ordered.values.tolist(), strict=True)
        return [dict(zip((labels[i] for i in places), values, strict=True)) for places, values in rows]

    return _in_batches(sources, batch_tokens, classify_batch)


def _in_batches(
    rows: Sequence[Sequence[int]], max_tokens: int, work: Callable[[Tensor], Iterable[T]]
) -> Iterator[T]:
    """Yield the results of `work` in the order of the rows.

    It gets batches (B, T) of rows of similar length.
    """
    for start in range(0, len(rows), POOL):
        pool = Ragged.of(rows[start : start + POOL])
        results: dict[int, T] = {}
        for group in group_by_length([pool.lengths], max_tokens):
            tokens = torch.from_numpy(pool.matrix(group, PAD))  # (B, T)
            results.update(zip(group.tolist(), work(tokens), strict=True))
        yield from (results[row] for row in range(len(pool)))
