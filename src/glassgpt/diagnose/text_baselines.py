"""The ladder of baselines: what predicting a text costs without a neural network.

A uniform guess, counts of characters in growing contexts, and xz, all on the same whole validation split.
Nothing here depends on the user's model or its tokenizer.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glassgpt.diagnose.ngram import MAX_ORDER, NGram
from glassgpt.diagnose.score import Score
from glassgpt.diagnose.xz import last_bytes, xz_score
from glassgpt.tokenizers import CharTokenizer

if TYPE_CHECKING:
    from glassgpt.data import Corpus, Text

MAX_TRAIN_BYTES = 1 << 24
"""Of a longer training text the end is counted: in some 20 s, and 1.2 GB of memory at most (random text)."""
MAX_GRAMS = 1 << 24
"""Orders whose tables take more entries than this in all are not tried."""
NAMES = {1: "unigram", 2: "bigram", 3: "trigram"}


def baselines(corpus: Corpus, max_train_bytes: int = MAX_TRAIN_BYTES) -> list[Score]:
    """Scores of uniform, unigram, bigram, trigram, the best n-gram and xz on the whole validation split.

    The n-grams are interpolated modified Kneser–Ney models over the ids of the char tokenizer: a character
    that training never saw costs its bytes, and nothing is infinite. The first held-out character has the
    end of the training text as its context. The best order is chosen on the last tenth of the training
    text, then counted on all of it; where it is 3 or less, one rung stands for both. At most
    `max_train_bytes`, the end of the training text, are counted, and `detail` says so.
    """
    with ThreadPoolExecutor(1) as pool:  # xz runs beside the counting: both leave the interpreter lock alone
        compressed = pool.submit(xz_score, corpus.train, corpus.val)
        tokenizer = CharTokenizer.train(corpus.train.chunks())
        history = tokenizer.encode_array(last_text(corpus.train, max_train_bytes))
        best = choose_order(history, tokenizer.n_vocab)
        model = NGram(history, tokenizer.n_vocab, {*NAMES, best})
        tally = tally_costs(model, tokenizer, corpus.val, history)
        scores = [uniform_score(tokenizer, tally, corpus.val)]
        for order, nats in tally.nats.items():
            notes = (
                ["the order that predicts the last tenth of the training text best"] if order == best else []
            )
            if corpus.train.n_bytes > max_train_bytes:
                notes.append(f"counted on the last {max_train_bytes / 2**20:g} MiB of the training text")
            name = NAMES.get(order, f"{order}-gram")
            scores.append(Score(name, nats, corpus.val.n_chars, corpus.val.n_bytes, "; ".join(notes)))
        return [*scores, compressed.result()]


def last_text(text: Text, max_bytes: int) -> str:
    """The end of a text, at most `max_bytes` of it, from its first whole character."""
    continuation_bytes = bytes(range(0x80, 0xC0))
    return last_bytes(text, max_bytes).lstrip(continuation_bytes).decode("utf-8")


def choose_order(ids: np.ndarray, n_vocab: int) -> int:
    """The order that predicts the last tenth of `ids` best, counted on what is before it."""
    n_held_out = min(len(ids) // 10, 1_000_000)
    if not n_held_out:
        return 1
    model = NGram(ids[:-n_held_out], n_vocab, max_grams=MAX_GRAMS)
    held_out = ids[-n_held_out - MAX_ORDER :]
    probabilities = model.probabilities(held_out, len(held_out) - n_held_out)
    costs = {order: cost(p) for order, p in probabilities.items()}
    return min(costs, key=costs.__getitem__)


def cost(probabilities: np.ndarray) -> float:
    """What symbols of these probabilities cost in all, in nats."""
    return -float(np.log(probabilities).sum())


@dataclass
class Tally:
    """What a text costs in nats by order, and how many of its tokens are characters and fallback bytes."""

    nats: dict[int, float]
    n_known: int = 0
    n_fallback: int = 0


def tally_costs(model: NGram, tokenizer: CharTokenizer, text: Text, history: np.ndarray) -> Tally:
    """Predict a whole text, piece by piece; `history` is what stands before its first symbol."""
    tally = Tally(dict.fromkeys(model.orders, 0.0))
    for piece in text.chunks():
        ids = tokenizer.encode_array(piece)
        context = history[-max(model.orders) :]
        history = np.concatenate([context, ids])
        for order, probabilities in model.probabilities(history, len(context)).items():
            tally.nats[order] += cost(probabilities)
        n_fallback = int(np.count_nonzero(ids >= len(tokenizer.chars)))
        tally.n_fallback += n_fallback
        tally.n_known += len(ids) - n_fallback
    return tally


def uniform_score(tokenizer: CharTokenizer, tally: Tally, text: Text) -> Score:
    """ln V for each of the V characters seen in training, and ln (V + 256) for each byte of any other."""
    n_seen = len(tokenizer.chars)
    nats = tally.n_known * math.log(n_seen) + tally.n_fallback * math.log(tokenizer.n_vocab)
    return Score("uniform", nats, text.n_chars, text.n_bytes, f"{n_seen:,} different characters in training")
