"""Fill-mask: predict the tokens for masks (`[?]`) in a text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgpt.data import MASK
from glassgpt.errors import UserError
from glassgpt.generate.decoder import eval_mode
from glassgpt.models import MaskedLM
from glassgpt.tokenizers import Tokenizer

MARK = re.compile(r"\[(\?+)\]")


@dataclass(frozen=True)
class Filled:
    """A text with its masks filled."""

    text: str
    masks: list[list[tuple[str, float]]]
    """The most likely tokens for each mask with their probabilities, before any mask was filled."""


@torch.inference_mode()
def fill(model: MaskedLM, tokenizer: Tokenizer, text: str, *, n: int = 5) -> Filled:
    """Fill the masks of a text: `[?]` stands for one token, `[??]` for two, and so on.

    The most certain mask is filled first, and then helps with the others. Only tokens that are text by
    themselves are filled in: no special token, no part of a character. If tokens include the space before a
    word, a mask after a space becomes a word. If the text is longer than the context, the model sees the part
    around the masks. n: candidates to list for each mask.
    Raises UserError for a text without a mask, and if masks lie too far apart.
    """
    if n < 1:
        raise UserError("`n`, the candidates to list for each mask, is {n}. It must be at least 1.", n=n)
    legible, spaced = _fillable(tokenizer)
    ids, allowed = _with_masks(tokenizer, text, legible, spaced)
    mask = tokenizer.specials[MASK]
    positions = [position for position, id in enumerate(ids) if id == mask]
    window = _around(positions, len(ids), model.config.block_size)
    visible = torch.tensor(ids[window], device=model.device)  # (T,)
    p = _predict(model, visible, mask, allowed)  # (n_masks, V)
    masks = [_most_likely(tokenizer, row, n) for row in p]
    while len(p):
        i = int(p.amax(-1).argmax())
        visible[(visible == mask).nonzero()[i]] = p[i].argmax()
        del allowed[i]
        p = _predict(model, visible, mask, allowed)
    ids[window] = visible.tolist()
    return Filled(tokenizer.decode(ids), masks)


def masked_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """Encode a text with or without masks (`[?]`), as in training."""
    legible, spaced = _fillable(tokenizer)
    return _with_masks(tokenizer, text, legible, spaced)[0] if MARK.search(text) else tokenizer.encode(text)


def _fillable(tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    """Flag tokens that are text, and those of them with a leading space: (V,) each.

    Byte tokens for a part of a character, or for a character with a token of its own, are not text: no
    encoded text has them.
    """
    texts = [tokenizer.decode([id]) for id in range(tokenizer.n_vocab)]
    legible = [
        all(c.isprintable() or c.isspace() for c in text) and tokenizer.encode(text) == [id]
        for id, text in enumerate(texts)
    ]
    spaced = [good and text != " " and text[0] == " " for good, text in zip(legible, texts, strict=True)]
    return torch.tensor(legible), torch.tensor(spaced)


def _with_masks(
    tokenizer: Tokenizer, text: str, legible: Tensor, spaced: Tensor
) -> tuple[list[int], list[Tensor]]:
    """Encode a text with masks, and return for each mask the allowed tokens (V,)."""
    before, *rest = MARK.split(text)
    if not rest:
        raise UserError(
            "there is no mask in {text!r}. Write [?] for one missing token, [??] for two.", text=text[:60]
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


def _around(positions: Sequence[int], n: int, block_size: int) -> slice:
    """Return a window of `block_size` in n positions, centered on the given ones."""
    span = positions[-1] - positions[0] + 1
    if span > block_size:
        raise UserError(
            "the masks are spread over {span:,} tokens, and the model sees {block_size:,} at once. Split "
            "the text, so that masks in one part lie near each other.",
            span=span,
            block_size=block_size,
        )
    start = min(max(0, (positions[0] + positions[-1] + 1 - block_size) // 2), max(0, n - block_size))
    return slice(start, start + block_size)


def _predict(model: MaskedLM, tokens: Tensor, mask: int, allowed: Sequence[Tensor]) -> Tensor:
    """Compute the probabilities (n_masks, V) of allowed tokens, on the CPU. tokens: (T,)."""
    if not allowed:
        return torch.empty(0, model.n_vocab)
    with eval_mode(model):
        h = model.trunk(tokens[None])[:, tokens == mask]  # (1, n_masks, C)
    logits = model.head(h)[0].float().cpu()  # (n_masks, V)
    return logits.masked_fill(~torch.stack(list(allowed)), -math.inf).softmax(-1)


def _most_likely(tokenizer: Tokenizer, p: Tensor, n: int) -> list[tuple[str, float]]:
    top = p.topk(min(n, int((p > 0).sum())))
    pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
    return [(tokenizer.decode([id]), value) for id, value in pairs]
