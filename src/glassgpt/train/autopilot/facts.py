"""Facts about a text that decide which recipe suits it: its size, its counted losses, its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Self

import numpy as np

from glassgpt.data import Corpus, Text
from glassgpt.diagnose import NGram, Score
from glassgpt.tokenizers import BpeTokenizer, CharTokenizer
from glassgpt.train.autopilot.held_out_profile import HeldOutProfile
from glassgpt.train.autopilot.recipe import Recipe

VOCAB_SIZES = (512, 1024, 2048, 4096)
"""Vocabulary sizes of the BPE tokenizers that are proposed."""
ORDER = 5
PART_CHARS = (32_000, 128_000, 512_000)
HELD_OUT_CHARS = 40_000
"""Held-out text that the counts are measured on."""
MAX_PROFILED = 1 << 21
"""Characters of the longest held-out text that has a profile: it takes half a second."""
MAX_READ = 1 << 24
"""Bytes of a text that are looked at."""
CHARS_PER_TOKEN = 500
"""Characters of text for each token of a vocabulary, at least: rare tokens are learned by heart."""
XZ_GUESS = 1.1
"""Usual loss of xz as a multiple of the best n-gram's."""
LEARNED_CHARS, COUNTED_CHARS = 200_000, 100_000
"""Text from all over the training split that the trial tokenizer learns from, and that it is counted in."""


@dataclass(frozen=True)
class TokenCount:
    """Size of a vocabulary, and tokens per character of the text."""

    n_vocab: int
    per_char: float


@dataclass(frozen=True)
class TextFacts:
    """A text as the law sees it. Losses are in nats per held-out character."""

    n_chars: int
    """Characters of the training split."""
    n_bytes: int
    n_val_chars: int
    uniform: float
    unigram: float
    trigram: float
    best: float
    """Loss of the best counted n-gram."""
    best_name: str
    xz: float
    """Loss of the file compressor xz, which finds long repetitions; a guess where it was not measured."""
    counted: tuple[tuple[int, float], ...]
    """(characters, loss): 5-grams counted on so many characters, spread over the text, ascending."""
    tokens: Mapping[tuple[str, int], TokenCount]
    """By tokenizer and vocabulary size (0 for characters and bytes)."""
    profile: HeldOutProfile | None = field(default=None, repr=False, compare=False)
    """Losses of counted 5-grams along the held-out text; None for a very long one."""

    @classmethod
    def of(cls, corpus: Corpus, scores: Sequence[Score], vocab_sizes: Sequence[int] = VOCAB_SIZES) -> Self:
        """Measure a corpus. scores: its counted baselines. vocab_sizes: of BPE tokenizers to try."""
        counted = [score for score in scores if score.kind == "ngram"]
        nats = {score.name: score.nats_per_char for score in scores}
        counted_parts, profile = count_parts(corpus)
        best = min(counted, key=lambda score: score.nats_per_char)
        return cls(
            corpus.train.n_chars,
            corpus.train.n_bytes,
            corpus.val.n_chars,
            nats["uniform"],
            nats["unigram"],
            nats["trigram"],
            best.nats_per_char,
            best.name,
            nats.get("xz", XZ_GUESS * best.nats_per_char),
            counted_parts,
            count_tokens(corpus, vocab_sizes),
            profile,
        )

    def counted_at(self, n_chars: float) -> float:
        """Return the loss of 5-grams counted on so many characters of this text: its learning curve.

        Between the counts it is interpolated in the logarithm of the characters; beyond the text, it is
        `best`.
        """
        sizes, losses = zip(*self.counted, (self.n_chars, self.best), strict=True)
        return float(np.interp(np.log(n_chars), np.log(sizes), losses))

    def count(self, recipe: Recipe) -> TokenCount:
        """Return the tokens of this text with the tokenizer of a recipe."""
        return self.tokens[recipe.tokenizer, recipe.vocab_size]


def count_parts(corpus: Corpus) -> tuple[tuple[tuple[int, float], ...], HeldOutProfile | None]:
    """Count 5-grams on `PART_CHARS` characters of the training text, where it is longer.

    Returns their losses by the number of characters, and the profile of the held-out text by the last count.
    """
    train, val = _beginning(corpus.train), _beginning(corpus.val)
    tokenizer = CharTokenizer.train([train])
    held_out = tokenizer.encode_array(spread(val, HELD_OUT_CHARS))
    sizes = [n for n in PART_CHARS if 2 * n <= len(train)]
    counts = [_Counts(tokenizer.encode_array(spread(train, n)), tokenizer) for n in sizes or PART_CHARS[:1]]
    losses = [float(each.losses(held_out).mean()) for each in counts]
    profile = None
    if corpus.val.n_chars <= MAX_PROFILED:
        ids = tokenizer.encode_array(val)
        profile = HeldOutProfile(counts[-1].losses(ids), tokenizer.n_bytes(ids), corpus.val.n_chars)
    return tuple(zip(sizes, losses, strict=False)), profile


class _Counts:
    """5-grams of a text; shorter ones of a text of fewer tokens."""

    def __init__(self, ids: np.ndarray, tokenizer: CharTokenizer) -> None:
        self.end, self.ngram = ids[-ORDER:], NGram(ids, tokenizer.n_vocab, {min(ORDER, len(ids))})

    def losses(self, ids: np.ndarray) -> np.ndarray:
        """Return −ln p of each of `ids`, (n,), which follow the counted ones."""
        probabilities = self.ngram.probabilities(np.concatenate([self.end, ids]), len(self.end))
        return -np.log(probabilities[self.ngram.orders[-1]])


def spread(text: str, n_chars: int, piece: int = 2_000) -> str:
    """Return pieces from all over a text, about n characters in all; a short text whole.

    >>> len(spread("abc" * 9_000, 4_000)), spread("abc", 4_000)
    (4000, 'abc')
    """
    if len(text) <= n_chars:
        return text
    starts = np.linspace(0, len(text) - piece, n_chars // piece).astype(int)
    return "".join(text[start : start + piece] for start in starts)


def _beginning(text: Text) -> str:
    """Return the first `MAX_READ` bytes of a text, about."""
    return "".join(islice(text.chunks(), MAX_READ >> 20))


def count_tokens(corpus: Corpus, vocab_sizes: Sequence[int]) -> dict[tuple[str, int], TokenCount]:
    """Count the tokens of a sample of the training text, for each tokenizer that is proposed.

    One BPE tokenizer is trained, with the largest vocabulary; the smaller ones are its first merges.
    """
    train, n_bytes = _beginning(corpus.train), corpus.train.n_bytes / max(1, corpus.train.n_chars)
    learned, text = spread(train, LEARNED_CHARS), spread(train, COUNTED_CHARS)
    chars = CharTokenizer.train([*corpus.train.chunks()])
    counts = {("char", 0): TokenCount(chars.n_vocab, 1.0), ("byte", 0): TokenCount(256, n_bytes)}
    largest = BpeTokenizer.train([learned], max(vocab_sizes))
    # A text without enough pairs to merge gets a smaller vocabulary than was asked for.
    limit = min(largest.n_vocab, corpus.train.n_chars // CHARS_PER_TOKEN)
    for size in [n for n in vocab_sizes if n <= limit] or [min(vocab_sizes)]:
        n_vocab = min(size, largest.n_vocab)
        n = len(largest.first_merges(n_vocab).encode_array(text))
        counts["bpe", size] = TokenCount(n_vocab, n / max(1, len(text)))
    return counts
