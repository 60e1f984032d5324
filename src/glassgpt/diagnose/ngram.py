"""N-gram language models of every order up to 10: interpolated modified Kneser–Ney.

Not a toolkit: no pruning, no file format, and all counts stay in RAM. Models know symbol ids, not text.
Counting and smoothing are in kneser_ney.py.
"""

import sys
from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from glassgpt.diagnose.kneser_ney import Floats, count_ngrams, find, smooth_orders
from glassgpt.diagnose.score import Score, total_nats
from glassgpt.language import N_

MAX_ORDER = 10
MAX_TRAIN_BYTES = 1 << 24
"""Count at most so much text, from its end: in some 20 s, with at most 1.2 GB of RAM (random text)."""
MAX_GRAMS = 1 << 24
"""Limit of distinct n-grams, all orders together, when choosing an order."""
MAX_HELD_OUT = 1_000_000
"""Limit of symbols held out for choosing an order."""
SHORT_ORDERS = (1, 2, 3)
"""Orders that every ladder shows, whichever predicts best."""
NAMES = {
    1: N_("unigram"),
    2: N_("bigram"),
    3: N_("trigram"),
    4: N_("4-gram"),
    5: N_("5-gram"),
    6: N_("6-gram"),
    7: N_("7-gram"),
    8: N_("8-gram"),
    9: N_("9-gram"),
    10: N_("10-gram"),
}


class NGram:
    """Models of several orders that share the counts of one text.

    The model of order n predicts each symbol from the n − 1 symbols before it. Its probabilities sum to 1
    over all `n_vocab` symbols, and none is 0: the lowest order is interpolated with a uniform distribution.

    >>> model = NGram(np.array([0, 1] * 50), n_vocab=3, orders=[1, 2])
    >>> model.probabilities(np.array([0, 1, 0, 2]))[2].round(3).tolist()
    [0.417, 0.982, 0.982, 0.005]
    """

    def __init__(
        self,
        ids: NDArray[np.integer],
        n_vocab: int,
        orders: Collection[int] = range(1, MAX_ORDER + 1),
        max_grams: int = sys.maxsize,
    ) -> None:
        """Count the symbols `ids` for models of these orders.

        ids: (N,) with N ≥ 1, each below `n_vocab`. Skips orders longer than the text, and orders from 4 on
        that would bring all orders together over `max_grams` n-grams.
        """
        seen = np.flatnonzero(np.bincount(ids, minlength=n_vocab))
        self.n_vocab = n_vocab
        self.base = len(seen) + 1
        self.digits = np.zeros(n_vocab, dtype=np.uint32)  # 0: never seen
        self.digits[seen] = np.arange(1, self.base)
        tables = count_ngrams(self.digits[ids], self.base, min(max(orders), len(ids)), max_grams)
        self.levels = [
            level if level.order in orders else replace(level, highest=None)
            for level in smooth_orders(tables, self.base)
        ]

    @property
    def orders(self) -> tuple[int, ...]:
        """Orders with a model, ascending."""
        return tuple(level.order for level in self.levels if level.highest)

    def probabilities(self, ids: NDArray[np.integer], n_context: int = 0) -> dict[int, Floats]:
        """Return the probability of each of `ids[n_context:]` given the symbols before it.

        ids: (N,), each below `n_vocab`. Returns (N − n_context,) for each order.
        """
        digits = self.digits[ids]
        found = np.zeros(len(ids), dtype=np.intp)  # index of the n-gram that ends at each position, or −1
        lower = np.full(len(ids), 1 / self.n_vocab)
        result = {}
        for level in self.levels:
            n = level.order
            contexts = np.concatenate([[0 if n == 1 else -1], found[:-1]])
            found = find(level.keys, contexts, digits, self.base)
            if level.highest:
                result[n] = level.highest(found, contexts, lower)[n_context:]
            if level.lower:
                lower = level.lower(found, contexts, lower)
        return result


def choose_order(ids: NDArray[np.integer], n_vocab: int) -> int:
    """Choose the order with the lowest loss on the last tenth of `ids`.

    The other nine tenths are counted.
    """
    n_held_out = min(len(ids) // 10, MAX_HELD_OUT)
    if not n_held_out:
        return 1
    model = NGram(ids[:-n_held_out], n_vocab, max_grams=MAX_GRAMS)
    held_out = ids[-n_held_out - MAX_ORDER :]
    probabilities = model.probabilities(held_out, len(held_out) - n_held_out)
    losses = {order: total_nats(p) for order, p in probabilities.items()}
    return min(losses, key=losses.__getitem__)


def ngram_score(
    order: int, nats: float, n_chars: int, n_bytes: int, detail: str = "", remark: str = ""
) -> Score:
    """Return the score of an n-gram model, named after its order.

    >>> [ngram_score(order, 0.0, 1, 1).name for order in (1, 3, 7)]
    ['unigram', 'trigram', '7-gram']
    """
    name = NAMES.get(order, f"{order}-gram") + f", {remark}" * bool(remark)
    return Score(name, nats, n_chars, n_bytes, detail, "ngram")
