"""Baselines of a text: the loss of simple predictors, without a neural network.

A uniform guess, character n-grams of growing order, and xz, all on the same whole validation split. They do
not depend on the user's model or its tokenizer.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from glassgpt.diagnose.interval import PartSums, n_parts
from glassgpt.diagnose.ngram import MAX_TRAIN_BYTES, NAMES, NGram, choose_order, ngram_score
from glassgpt.diagnose.score import Score, round_parts, uniform_nats
from glassgpt.diagnose.xz import last_bytes, xz_score
from glassgpt.tokenizers import CharTokenizer

if TYPE_CHECKING:
    from glassgpt.data import Corpus, Text


def baselines(corpus: Corpus, max_train_bytes: int = MAX_TRAIN_BYTES) -> list[Score]:
    """Score uniform, unigram, bigram, trigram, the best n-gram and xz on the validation split.

    The n-grams are interpolated modified Kneser–Ney models over the ids of the char tokenizer. A character
    that is not in the training text costs its bytes, so no loss is infinite. The end of the training text
    is the context of the first held-out character. The best order is chosen on the last tenth of the
    training text, then counted on all of it; an order of 3 or less is listed once. At most the last
    `max_train_bytes` of the training text are counted; `detail` then says so.
    """
    with ThreadPoolExecutor(1) as pool:  # xz runs while n-grams are counted: both release the GIL
        compressed = pool.submit(xz_score, corpus.train, corpus.val)
        tokenizer = CharTokenizer.train(corpus.train.chunks())
        history = tokenizer.encode_array(last_text(corpus.train, max_train_bytes))
        best = choose_order(history, tokenizer.n_vocab)
        model = NGram(history, tokenizer.n_vocab, {*NAMES, best})
        losses = sum_losses(model, tokenizer, corpus.val, history)
        n_chars, n_bytes = corpus.val.n_chars, corpus.val.n_bytes
        scores = [_uniform_score(tokenizer, losses, corpus.val)]
        for order, sums in losses.parts.items():
            notes = (
                ["the order that predicts the last tenth of the training text best"] if order == best else []
            )
            if corpus.train.n_bytes > max_train_bytes:
                notes.append(f"counted on the last {max_train_bytes / 2**20:g} MiB of the training text")
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
