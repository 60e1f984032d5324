"""The vocabulary of a fine-tuned run: that of its base, with rows for new characters and special tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgpt.checkpoint import Run
from glassgpt.config import Layer, RunConfig
from glassgpt.language import N_
from glassgpt.tokenizers import CharTokenizer, Tokenizer

MIN_COUNT = 3
"""Occurrences of a new character that gets a token of its own; rarer ones are learned as their bytes."""
RARE_SHARE = 0.001
"""Share of unknown characters that needs no note."""
N_SHOWN = 8
"""Unknown characters that a note names."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokenizer of a fine-tuned run, what it asks of the model, and a note about it."""

    tokenizer: Tokenizer
    layer: Layer
    notes: tuple[str, ...] = ()


def extended_vocabulary(config: RunConfig, texts: Iterable[str], specials: Sequence[str]) -> Vocabulary:
    """Add the characters of some texts and the special tokens of a task to the base run's vocabulary.

    A character tokenizer grows; n-gram embeddings are hashed by token ids, so their vocabulary cannot. With
    LoRA, new characters make embedding and head trainable as a whole.
    """
    assert config.init_from.run is not None
    base, model = Run.open(config.init_from.run).tokenizer(), config.model
    unknown, share = _unknown(base, texts)
    grown = base
    if isinstance(base, CharTokenizer) and not model.ngram_order:
        min_count = MIN_COUNT if base.fallback else 1
        grown = base.with_characters(char for char, n in unknown.items() if n >= min_count)
    n_new, is_notable = grown.n_vocab - base.n_vocab, share >= RARE_SHARE
    embeddings = model.lora_rank > 0 and bool(n_new or is_notable)
    n_rows = sum(name not in base.specials for name in specials) if model.lora_rank and not embeddings else 0
    layer = Layer("data", {"model": {"new_tokens": n_rows, "lora_embeddings": embeddings}})
    notes = (_note(unknown, share, n_new, embeddings),) if n_new or is_notable else ()
    return Vocabulary(grown.with_specials(specials), layer, notes)


def _unknown(tokenizer: Tokenizer, texts: Iterable[str]) -> tuple[Counter[str], float]:
    """Count the characters that a vocabulary of characters lacks. Returns their share of the text as well."""
    if not isinstance(tokenizer, CharTokenizer):
        return Counter(), 0.0
    counts, known = Counter[str](), set(tokenizer.chars)
    for text in texts:
        counts.update(text)
    unknown = Counter({char: n for char, n in counts.items() if char not in known})
    return unknown, unknown.total() / max(1, counts.total())


def _note(unknown: Counter[str], share: float, n_new: int, embeddings: bool) -> str:
    shown = " ".join(char if char.isprintable() else repr(char) for char, _ in unknown.most_common(N_SHOWN))
    fields = {"n": len(unknown), "share": share, "shown": shown}
    if n_new:
        note = N_(
            "the base run does not know {n:,} characters, {share:.1%} of the text (such as {shown}): its "
            "vocabulary grows by {n_new:,} tokens, whose weights begin untrained",
            n_new=n_new,
            **fields,
        )
    else:
        note = N_(
            "the base run does not know {n:,} characters, {share:.1%} of the text (such as {shown}): each is "
            "learned as its bytes",
            **fields,
        )
    if embeddings:
        return N_("{note}; embedding and head are trained as a whole, next to the adapters", note=note)
    return note


def kept_rows(base: Tokenizer, tokenizer: Tokenizer) -> list[int]:
    """Return, for each token of an extended vocabulary, its id in the base; -1 for a new token.

    >>> kept_rows(CharTokenizer("ac", fallback=False), CharTokenizer("abc", ["<eos>"], fallback=False))
    [0, -1, 1, -1]
    """
    if isinstance(base, CharTokenizer) and isinstance(tokenizer, CharTokenizer):
        return [base.symbols.get(symbol, -1) for symbol in tokenizer.symbols]
    return [id if id < base.n_vocab else -1 for id in range(tokenizer.n_vocab)]


def resize_embeddings(tensors: dict[str, Tensor], rows: Sequence[int], seed: int) -> dict[str, Tensor]:
    """Return a GPT's weights with other rows in embedding and head, see `kept_rows`.

    A new row of the head is the mean of the others, so a new token starts about as probable as any other. A
    new row of the embedding is drawn with the others' mean and standard deviation in each dimension, so that
    new tokens differ. With tied embeddings it is the mean.
    Source: Hewitt 2021, "Initializing new word embeddings for pretrained language models".
    """
    is_tied = "lm_head.weight" not in tensors
    generator, ids = torch.Generator().manual_seed(seed), torch.tensor(rows)
    resized, n_new = dict(tensors), int((ids < 0).sum())
    for name in ("wte.weight", "lm_head.weight"):
        if name in tensors:
            added = tensors[name].mean(0).expand(n_new, -1)  # (n_new, C)
            if name == "wte.weight" and not is_tied:
                added = added + tensors[name].std(0) * torch.randn(added.shape, generator=generator)
            resized[name] = tensors[name][ids.clamp(min=0)]  # (n_vocab, C)
            resized[name][ids < 0] = added
    return resized
