"""What a trained model is asked: to translate, answer about an image, classify a text, fill its gaps.

One function a family, and what the commands call. How texts become ids is data/encodings.py, how
answers are searched for is beam.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from glassgpt.data import (
    MASK,
    Example,
    ExampleSplit,
    ImageTemplate,
    LabelTemplate,
    PairTemplate,
    Ragged,
    eval_rows,
)
from glassgpt.errors import UserError
from glassgpt.generate.beam import beam_search
from glassgpt.generate.decoder import evaluating
from glassgpt.models import Captioner, Classifier, MaskedLM, Seq2Seq
from glassgpt.tokenizers import Tokenizer

POOL = 1024
"""Texts that are sorted by length together: little padding, and the first answers come soon."""
GAP = re.compile(r"\[(\?+)\]")

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What a model says about an image."""

    text: str
    probability: float
    """Of exactly this text and its end, according to the model."""


@dataclass(frozen=True)
class Filled:
    """A text whose gaps a model has filled."""

    text: str
    gaps: list[list[tuple[str, float]]]
    """For each hidden token the likeliest ones with their probabilities, before any gap was filled."""


def translate(
    model: Seq2Seq,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    beams: int = 4,
    batch_tokens: int = 4096,
    max_new_tokens: int | None = None,
) -> Iterator[str]:
    """The translation of each text, in the order given; of an empty line, an empty line.

    batch_tokens: source tokens worked on at once, padding and beams included. A translation is cut
    after `max_new_tokens`; by default, after 4 times the tokens of the longest source beside it and 50
    more, or where the model's block ends. Raises UserError at once where a text is longer than the
    model can see.
    """
    encoding, room = PairTemplate(tokenizer), model.config.block_size
    sources = [encoding.source(Example("", text)) if text.strip() else () for text in texts]
    for line, source in enumerate(sources, 1):
        if len(source) > room:
            raise UserError(
                f"line {line}: it has {len(source):,} tokens and the model sees {room:,} at once; split "
                "it into shorter ones, such as sentences, or train a model with a larger --block-size"
            )

    @torch.inference_mode()
    def write(source: Tensor) -> Iterable[str]:
        most = 4 * source.shape[1] + 50 if max_new_tokens is None else max_new_tokens
        with evaluating(model):
            memory = model.encode(source.to(model.device))
        prompt = encoding.prompt(Example(""))
        found = beam_search(model, memory, prompt, end=encoding.end, beams=beams, max_new_tokens=most)
        return [tokenizer.decode(texts[0].ids) for texts in found]

    written = _in_batches([s for s in sources if s], batch_tokens // max(1, beams), write)
    return (next(written) if source else "" for source in sources)


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
    """What the model says about an image: its answer to a question, or without one its caption.

    image: (channels, image_size, image_size) of uint8, as in the model's configuration. Raises
    UserError for any other, and for a question that leaves no room for an answer.
    """
    config, encoding = model.config, ImageTemplate(tokenizer)
    wanted = (config.channels, config.image_size, config.image_size)
    if image.shape != wanted or image.dtype != np.uint8:
        raise UserError(
            f"the image is {image.dtype} of shape {image.shape}, but the model looks at uint8 of shape "
            f"{wanted}; bring it to this form first"
        )
    prompt = encoding.prompt(Example("", question=question))
    if len(prompt) > config.block_size:
        raise UserError(
            f"the question makes a prompt of {len(prompt):,} tokens and the model sees "
            f"{config.block_size:,}; ask in fewer words"
        )
    with evaluating(model):
        memory = model.encode(torch.tensor(image[None], device=model.device))
    most = config.block_size if max_new_tokens is None else max_new_tokens
    best = beam_search(model, memory, prompt, end=encoding.end, beams=beams, max_new_tokens=most)[0][0]
    return Answer(tokenizer.decode(best.ids), math.exp(best.log_p))


def classify(
    model: Classifier, tokenizer: Tokenizer, texts: Sequence[str], *, batch_tokens: int = 16_384
) -> Iterator[dict[str, float]]:
    """For each text the probability of each class, the likeliest first.

    Of a text longer than the model can see, the beginning counts, as in training. batch_tokens: tokens
    read at once, padding included. Raises UserError at once where a text is empty.
    """
    labels = model.config.labels
    encoding = LabelTemplate(tokenizer, labels, model.config.block_size)
    given = [encoding.source(Example("", text)) for text in texts]
    for number, ids in enumerate(given, 1):
        if not ids:
            raise UserError(f"text {number} is empty: it has no class; leave it out")

    @torch.inference_mode()
    def read(tokens: Tensor) -> Iterable[dict[str, float]]:
        with evaluating(model):
            p = model(tokens.to(model.device))[:, 0].float().softmax(-1)  # (B, n_class)
        ordered = p.sort(dim=-1, descending=True, stable=True)
        rows = zip(ordered.indices.tolist(), ordered.values.tolist(), strict=True)
        return [dict(zip((labels[i] for i in places), values, strict=True)) for places, values in rows]

    return _in_batches(given, batch_tokens, read)


@torch.inference_mode()
def fill(model: MaskedLM, tokenizer: Tokenizer, text: str, *, n: int = 5) -> Filled:
    """Fill the gaps of a text: `[?]` hides one token, `[??]` two, and so on.

    The gap that the model is most certain of is filled first, and then helps with the others. Nothing
    is filled in that is not text by itself: no special token, no part of a character. Where tokens
    begin with the space before a word, a gap after a space is a word. Of a text longer than the model
    can see it sees the part around the gaps. Raises UserError for a text without a gap, and where gaps
    lie too far apart.
    """
    if n < 1:
        raise UserError(f"n is {n}, but must be at least 1: how many tokens to list for each gap")
    legible, spaced = _fillable(tokenizer)
    ids, allowed = _with_gaps(tokenizer, text, legible, spaced)
    mask = tokenizer.specials[MASK]
    places = [place for place, id in enumerate(ids) if id == mask]
    window = _around(places, len(ids), model.config.block_size)
    seen = torch.tensor(ids[window], device=model.device)  # (T,)
    p = _predict(model, seen, mask, allowed)  # (gaps, V)
    gaps = [_likeliest(tokenizer, row, n) for row in p]
    while len(p):
        gap = int(p.amax(-1).argmax())
        seen[(seen == mask).nonzero()[gap]] = p[gap].argmax()
        del allowed[gap]
        p = _predict(model, seen, mask, allowed)
    ids[window] = seen.tolist()
    return Filled(tokenizer.decode(ids), gaps)


def masked_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text, its gaps (`[?]`) hidden as in training; a text without any stays whole."""
    legible, spaced = _fillable(tokenizer)
    return _with_gaps(tokenizer, text, legible, spaced)[0] if GAP.search(text) else tokenizer.encode(text)


def _in_batches(
    rows: Sequence[Sequence[int]], max_tokens: int, work: Callable[[Tensor], Iterable[T]]
) -> Iterator[T]:
    """What `work` makes of every row, in their order, from batches (B, T) of rows of similar length."""
    for start in range(0, len(rows), POOL):
        given = Ragged.of(rows[start : start + POOL])
        nothing = Ragged.of(() for _ in range(len(given)))
        split = ExampleSplit(given, nothing, np.zeros(len(given), np.int64), 0, 0, is_class=True)
        done: dict[int, T] = {}
        for batch in eval_rows(split, max_tokens):
            done.update(zip(batch.tolist(), work(split.batch(batch).tokens), strict=True))
        yield from (done[place] for place in range(len(given)))


def _fillable(tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    """(V,) each: tokens that are text by themselves, and those of them that are a space and more.

    A byte that only stands in for part of a character, or for one that has a token of its own, is no
    token that a text with these characters would have.
    """
    texts = [tokenizer.decode([id]) for id in range(tokenizer.n_vocab)]
    legible = [
        all(c.isprintable() or c.isspace() for c in text) and tokenizer.encode(text) == [id]
        for id, text in enumerate(texts)
    ]
    spaced = [good and text != " " and text[0] == " " for good, text in zip(legible, texts, strict=True)]
    return torch.tensor(legible), torch.tensor(spaced)


def _with_gaps(
    tokenizer: Tokenizer, text: str, legible: Tensor, spaced: Tensor
) -> tuple[list[int], list[Tensor]]:
    """The text's ids, hidden ones among them, and for each hidden one which tokens may be filled in."""
    before, *rest = GAP.split(text)
    if not rest:
        raise UserError(
            f"there is no gap in {text[:60]!r}: write [?] where one token is missing, [??] where two are"
        )
    ids: list[int] = []
    allowed: list[Tensor] = []
    for marks, after in zip(rest[::2], rest[1::2], strict=True):
        is_word = bool(spaced.any()) and before.endswith(" ")
        ids += tokenizer.encode(before[:-1] if is_word else before)
        ids += [tokenizer.specials[MASK]] * len(marks)
        allowed += [spaced if is_word else legible, *[legible] * (len(marks) - 1)]
        before = after
    return ids + tokenizer.encode(before), allowed


def _around(places: Sequence[int], n: int, block_size: int) -> slice:
    """At most `block_size` of n places, with all of these about in the middle."""
    span = places[-1] - places[0] + 1
    if span > block_size:
        raise UserError(
            f"the gaps are spread over {span:,} tokens and the model sees {block_size:,} at once; "
            "fill those that lie near each other together, and the others in a text of their own"
        )
    start = min(max(0, (places[0] + places[-1] + 1 - block_size) // 2), max(0, n - block_size))
    return slice(start, start + block_size)


def _predict(model: MaskedLM, tokens: Tensor, mask: int, allowed: Sequence[Tensor]) -> Tensor:
    """tokens: (T,) -> what each hidden one may be, (gaps, V) of probabilities, on the CPU."""
    if not allowed:
        return torch.empty(0, model.n_vocab)
    with evaluating(model):
        h = model.trunk(tokens[None])[:, tokens == mask]  # (1, gaps, C)
    logits = model.head(h)[0].float().cpu()  # (gaps, V)
    return logits.masked_fill(~torch.stack(list(allowed)), -math.inf).softmax(-1)


def _likeliest(tokenizer: Tokenizer, p: Tensor, n: int) -> list[tuple[str, float]]:
    top = p.topk(min(n, int((p > 0).sum())))
    pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
    return [(tokenizer.decode([id]), value) for id, value in pairs]
