"""Language models made by counting: interpolated modified Kneser–Ney n-grams of every order up to 10.

Not a toolkit: no pruning, no file format, and the whole of the counted text is in memory. It knows symbol
ids, not text. The tables and the smoothing are in counting.py.
"""

import sys
from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from glassgpt.diagnose.kneser_ney import Floats, Indices, Keys, count_grams, estimate_levels

MAX_ORDER = 10


class NGram:
    """Models of several orders of one text, sharing their tables.

    The model of order n predicts each symbol from the n − 1 before it. Its probabilities sum to 1 over all
    `n_vocab` symbols and none is 0: what the counts leave over is in the end spread evenly over the
    vocabulary.

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
        """Count `ids`, (N,) with N ≥ 1, each below `n_vocab`, for models of these orders.

        Orders too high are left out: what does not fit into 64 bits (over 9 for 100 different symbols, over 5
        for 6,000), what is longer than the text, and from 4 on tables of more than `max_grams` entries in
        all.
        """
        seen = np.flatnonzero(np.bincount(ids, minlength=n_vocab))
        self.n_vocab = n_vocab
        self.base = len(seen) + 1
        self.digits = np.zeros(n_vocab, dtype=np.uint32)  # 0: never counted
        self.digits[seen] = np.arange(1, self.base)
        max_order = min(max(orders), len(ids))
        while self.base**max_order > 2**64:
            max_order -= 1
        tables = count_grams(self.digits[ids], self.base, max_order, max_grams)
        self.levels = [
            level if level.order in orders else replace(level, final=None)
            for level in estimate_levels(tables, self.base)
        ]

    @property
    def orders(self) -> tuple[int, ...]:
        """The orders that there are models of."""
        return tuple(level.order for level in self.levels if level.final)

    def probabilities(self, ids: NDArray[np.integer], n_context: int = 0) -> dict[int, Floats]:
        """For each order, the probability of each of `ids[n_context:]` after what is before it in `ids`.

        ids: (N,), each below `n_vocab`. Returns (N − n_context,) per order.
        """
        digits = self.digits[ids]
        keys = np.zeros(len(ids), dtype=np.uint64)  # the n-gram that ends at each position
        found = np.zeros(len(ids), dtype=np.intp)  # its index in the table of order n; of order 0, always 0
        shorter = np.full(len(ids), 1 / self.n_vocab)
        result = {}
        for level in self.levels:
            n = level.order
            contexts = np.concatenate([[0 if n == 1 else -1], found[:-1]])
            keys[n - 1 :] += digits[: max(0, len(digits) - n + 1)] * np.uint64(self.base ** (n - 1))
            found = find(level.grams, keys)
            if level.final:
                result[n] = level.final(found, contexts, shorter)[n_context:]
            if level.lower:
                shorter = level.lower(found, contexts, shorter)
        return result


def find(table: Keys, keys: Keys) -> Indices:
    """The index of each key in a sorted table, −1 where it is not there."""
    at = np.searchsorted(table, keys)
    at[at == len(table)] = 0
    return np.where(table[at] == keys, at, -1)
