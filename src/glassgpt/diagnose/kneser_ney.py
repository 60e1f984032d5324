"""Modified Kneser–Ney smoothing of n-gram counts, in arrays; ngram.py predicts with it.

An n-gram is one uint64 key: the index of its context (the n-gram without its last symbol) among those of the
order below, times `base`, plus the digit of its last symbol. So a key of any order fits into 64 bits. Digit 0
stands for symbols that never occur, so no stored key contains it. Keys are sorted arrays, searched by
bisection.

Source: Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Counts = NDArray[np.uint32]
Indices = NDArray[np.intp]
Floats = NDArray[np.float64]

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
"""For a text too short to estimate them; KenLM falls back to the same."""


class RunLengths(NamedTuple):
    """The distinct values of a sorted array and their counts; both (n_values,)."""

    values: Keys
    counts: Counts


class NGramCounts(NamedTuple):
    """The distinct n-grams of one order, sorted, and their counts; all (n_grams,)."""

    keys: Keys
    counts: Counts
    suffixes: Indices
    """Index of each n-gram without its first symbol, among those of the order below."""


@dataclass(frozen=True)
class Interpolation:
    """Smoothed probabilities: discounted ones, plus a backoff weight times the lower order's.

    p(symbol | context) = probs[n-gram] + backoffs[context] · p(symbol | context without its first symbol).

    probs: (n_grams + 1,), backoffs: (n_contexts + 1,). The last entry of each, at index −1, is for unseen
    n-grams and contexts: 0 and 1.
    """

    probs: Floats
    backoffs: Floats

    def __call__(self, ngrams: Indices, contexts: Indices, lower: Floats) -> Floats:
        """Interpolate with lower-order probabilities; all arguments (N,)."""
        return self.probs[ngrams] + self.backoffs[contexts] * lower


@dataclass(frozen=True)
class SmoothedOrder:
    """The sorted n-grams of one order and their smoothed probabilities.

    `highest` is estimated from raw counts, for a model of this order. `lower` is estimated from continuation
    counts, for models of higher orders that back off to this one.
    """

    order: int
    keys: Keys
    highest: Interpolation | None
    lower: Interpolation | None


def count_ngrams(digits: NDArray[np.integer], base: int, max_order: int, max_grams: int) -> list[NGramCounts]:
    """Count the n-grams of the orders 0 to `max_order`.

    digits: (N,), symbols as digits 1 to base − 1. Stops early at order 4 or higher, before all orders
    together exceed `max_grams` n-grams.
    """
    root = np.zeros(1, dtype=np.intp)
    tables = [NGramCounts(root.astype(np.uint64), np.array([len(digits)], dtype=np.uint32), root)]
    indices = np.zeros(len(digits), dtype=np.intp)  # of the longest counted n-gram at each position
    while (order := len(tables) - 1) < max_order:
        n_more = symbols_that_fit(len(tables[-1].keys), base, max_order - order)
        windows = longer_windows(indices, digits[order:], base, n_more)
        at = np.argsort(windows)
        windows = windows[at]
        shorter = np.arange(len(tables[-1].keys), dtype=np.uint64)  # sorted windows of the order before
        for left in reversed(range(n_more)):
            keys, counts = run_lengths(windows // np.uint64(base**left))
            n_grams = len(keys) + sum(len(table.keys) for table in tables)
            if len(tables) > 3 and n_grams > max_grams:
                return tables
            whole = keys % np.uint64(base) != 0  # the others extend beyond the end of the text
            keys, counts = keys[whole], counts[whole]
            contexts = np.searchsorted(shorter, keys // np.uint64(base))
            tables.append(_table(tables, contexts, keys % np.uint64(base), counts, base))
            shorter = keys
        indices[at] = np.minimum(np.searchsorted(shorter, windows), len(shorter) - 1)
    return tables


def symbols_that_fit(n_indices: int, base: int, most: int) -> int:
    """Return the number of digits, at most `most`, that fit into 64 bits behind an index.

    >>> symbols_that_fit(1, 100, 10), symbols_that_fit(1_000_000, 100, 10)
    (9, 6)
    """
    return max(n for n in range(1, most + 1) if n == 1 or n_indices * base**n <= 2**64)


def longer_windows(indices: Indices, digits: NDArray[np.integer], base: int, n_more: int) -> Keys:
    """Return the window at each position: an index, then `n_more` digits, 0 beyond the end of the text.

    indices: (N,), of the n-gram at each position. digits: (≤ N,), from the symbol after the first n-gram on.
    """
    windows = indices.astype(np.uint64)
    for offset in range(n_more):
        windows *= np.uint64(base)
        windows[: max(0, len(digits) - offset)] += digits[offset:]
    return windows


def _table(
    tables: list[NGramCounts], contexts: Indices, digits: Keys, counts: Counts, base: int
) -> NGramCounts:
    """Return the table of the next order; contexts and digits: (n_grams,), sorted."""
    keys, below = ngram_keys(contexts, digits, base), tables[-1]
    if len(tables) == 1:  # without its only symbol, a unigram is the n-gram of order 0
        return NGramCounts(keys, counts, np.zeros(len(keys), dtype=np.intp))
    return NGramCounts(keys, counts, find(below.keys, below.suffixes[contexts], digits, base))


def ngram_keys(contexts: Indices, digits: NDArray[np.integer], base: int) -> Keys:
    """Return the keys of n-grams from the indices of their contexts and the digits of their last symbols."""
    return contexts.astype(np.uint64) * np.uint64(base) + digits.astype(np.uint64)


def run_lengths(values: Keys) -> RunLengths:
    """Return the distinct values of a sorted array and their counts."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return RunLengths(values[starts], np.diff(starts, append=len(values)).astype(np.uint32))


def smooth_orders(tables: list[NGramCounts], base: int) -> Iterator[SmoothedOrder]:
    """Smooth every order from 1 on; `tables` start with order 0."""
    for order in range(1, len(tables)):
        keys, counts, _ = tables[order]
        context_of, n_contexts = (keys // np.uint64(base)).astype(np.intp), len(tables[order - 1].keys)
        lower = None
        if order + 1 < len(tables):
            # Number of distinct symbols before each n-gram; 0 for one that only starts the text.
            before = np.bincount(tables[order + 1].suffixes, minlength=len(keys)).astype(np.uint32)
            lower = smooth(before, context_of, n_contexts)
        yield SmoothedOrder(order, keys, smooth(counts, context_of, n_contexts), lower)


def smooth(counts: Counts, context_of: Indices, n_contexts: int) -> Interpolation:
    """Discount each count; a context's freed share is its backoff weight.

    counts: (n_grams,). context_of: (n_grams,), the index of each n-gram's context.
    """
    taken = np.array([0.0, *discounts(counts)])[np.minimum(counts, 3)]  # (n_grams,)
    totals = np.bincount(context_of, weights=counts, minlength=n_contexts)
    freed = np.bincount(context_of, weights=taken, minlength=n_contexts)
    backoffs = np.divide(freed, totals, out=np.ones(n_contexts), where=totals > 0)
    probs = np.divide(counts - taken, totals[context_of], out=np.zeros(len(counts)), where=counts > 0)
    return Interpolation(np.append(probs, 0.0), np.append(backoffs, 1.0))


def discounts(counts: Counts) -> tuple[float, float, float]:
    """Estimate the discounts of counts of 1, of 2, and of 3 or more.

    >>> discounts(np.repeat([1, 2, 3, 4], [100, 40, 20, 12]).astype(np.uint32))
    (0.5555555555555556, 1.1666666666666665, 1.6666666666666665)
    """
    n1, n2, n3, n4 = (int(n) for n in np.bincount(np.minimum(counts, 5), minlength=5)[1:5])
    if not (n1 and n2 and n3):
        return FALLBACK_DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    d1, d2, d3 = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
    return (d1, d2, d3) if 0 < d1 < 1 and 0 < d2 < 2 and 0 < d3 < 3 else FALLBACK_DISCOUNTS


def find(table: Keys, contexts: Indices, digits: NDArray[np.integer], base: int) -> Indices:
    """Return the index of each n-gram in a sorted table of keys, −1 if it or its context is missing."""
    keys = ngram_keys(np.maximum(contexts, 0), digits, base)
    at = np.searchsorted(table, keys)
    at[at == len(table)] = 0
    return np.where((table[at] == keys) & (contexts >= 0), at, -1)
