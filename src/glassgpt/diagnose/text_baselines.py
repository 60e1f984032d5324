"""Baselines of a text: the loss of simple predictors, without a neural network.

A uniform guess, character n-grams of growing order, and xz, all on the same whole validation split. They do
not depend on the user's model or its tokenizer.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from glassgpt.diagnose.interval import PartSums, n_parts
from glassgpt.diagnose.ngram import MAX_TRAIN_BYTES, SHORT_ORDERS, NGram, choose_order, ngram_score
from glassgpt.diagnose.score import Score, round_parts, uniform_nats
from glassgpt.diagnose.xz import MAX_XZ_BYTES, last_bytes, xz_score
from glassgpt.tokenizers import CharTokenizer

if TYPE_CHECKING:
    from glassgpt.data import Corpus, Text


class Limits(NamedTuple):
    """Bytes of the training text that n-grams and xz read, from its end."""

    ngram_bytes: int
    xz_bytes: int


FULL = Limits(MAX_TRAIN_BYTES, MAX_XZ_BYTES)
"""More is never read."""
NGRAM_BYTES_PER_S, XZ_BYTES_PER_S = 1_000_000, 1_000_000
"""Speed of counting and of compressing on a laptop."""
MIN_BYTES = 1 << 18
"""At least so much is read."""


def limits(seconds: float, n_val_bytes: int) -> Limits:
    """Return how much text can be read in about so many seconds.

    xz compresses the training text twice, once with the held-out text.

    >>> limits(6, 2_000_000), limits(60, 2_000_000) == FULL
    (Limits(ngram_bytes=6000000, xz_bytes=2000000), True)
    """
    ngram = min(max(int(seconds * NGRAM_BYTES_PER_S), MIN_BYTES), MAX_TRAIN_BYTES)
    xz = min(max(int(seconds * XZ_BYTES_PER_S - n_val_bytes) // 2, MIN_BYTES), MAX_XZ_BYTES)
    return Limits(ngram, xz)


def baselines(corpus: Corpus, limits: Limits = FULL) -> list[Score]:
    """Score uniform, unigram, bigram, trigram, the best n-gram and xz on the validation split.

    The n-grams are interpolated modified Kneser–Ney models over the ids of the char tokenizer. A character
    that is not in the training text costs its bytes, so no loss is infinite. The end of the training text
    is the context of the first held-out character. The best order is chosen on the last tenth of the
    training text, then counted on all of it; an order of 3 or less is listed once. Where the limits leave
    some of the training text out, `detail` says so.
    """
    with ThreadPoolExecutor(1) as pool:  # xz runs while n-grams are counted: both release the GIL
        compressed = pool.submit(xz_score, corpus.train, corpus.val, limits.xz_bytes)
        tokenizer = CharTokenizer.train(corpus.train.chunks())
        history = tokenizer.encode_array(last_text(corpus.train, limits.ngram_bytes))
        best = choose_order(history, tokenizer.n_vocab)
        model = NGram(history, tokenizer.n_vocab, {*SHORT_ORDERS, best})
        losses = sum_losses(model, tokenizer, corpus.val, history)
        n_chars, n_bytes = corpus.val.n_chars, corpus.val.n_bytes
        scores = [_uniform_score(tokenizer, losses, corpus.val)]
        for order, sums in losses.parts.items():
            notes = (
                ["the order that predicts the last tenth of the training text best"] if order == best else []
            )
            if corpus.train.n_bytes > limits.ngram_bytes:
                notes.append(f"counted on the last {limits.ngram_bytes / 2**20:.3g} MiB of the training text")
            score = ngram_score(order, losses.nats[order], n_chars, n_bytes, "; ".join(notes))
            scores.append(replace(score, parts=round_parts(sums.nats)))
        return [*scores, compressed.result()]


def last_text(text: Text, max_bytes: int) -> str:
    """Return the end of a text, at most `max_bytes`, from its first whole character."""
    continuation_bytes = bytes(range(0x80, 0xC0))
    return last_bytes(text, max_bytes).lstrip(continuation_bytes).decode("utf-8")


@dataclass
class Losses:
    """Losses by order, in nats for each part of the text, and numbers of known characters and bytes."""

    parts: dict[int, PartSums]
    n_known: int = 0
    n_fallback: int = 0

    @property
    def nats(self) -> dict[int, float]:
        """Total loss in nats by order."""
        return {order: float(sums.nats.sum()) for order, sums in self.parts.items()}


def sum_losses(model: NGram, tokenizer: CharTokenizer, text: Text, history: np.ndarray) -> Losses:
    """Sum the losses of a text, with `history` as the context of its start."""
    losses = Losses({order: PartSums(n_parts(text.n_chars), text.n_bytes) for order in model.orders})
    for chunk in text.chunks():
        ids = tokenizer.encode_array(chunk)
        context, lengths = history[-max(model.orders) :], tokenizer.n_bytes(ids)
        history = np.concatenate([context, ids])
        for order, probabilities in model.probabilities(history, len(context)).items():
            losses.parts[order].add(-np.log(probabilities), lengths)
        n_fallback = int(np.count_nonzero(ids >= len(tokenizer.chars)))
        losses.n_fallback += n_fallback
        losses.n_known += len(ids) - n_fallback
    return losses


def _uniform_score(tokenizer: CharTokenizer, losses: Losses, text: Text) -> Score:
    """Score ln V per character; with unseen characters, ln (V + 256) per character and byte of those."""
    n_seen, n_fallback = len(tokenizer.chars), losses.n_fallback
    nats = uniform_nats(losses.n_known + n_fallback, n_fallback, n_seen, tokenizer.n_vocab)
    detail = f"{n_seen:,} different characters in training"
    if n_fallback:
        detail += f", and 256 bytes: the held-out text has {n_fallback:,} bytes of other characters"
    return Score("uniform", nats, text.n_chars, text.n_bytes, detail, "uniform")
