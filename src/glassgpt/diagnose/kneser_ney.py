"""Modified Kneser–Ney smoothing of n-gram counts, in arrays; ngram.py predicts with it.

An n-gram is one uint64 key: its symbols are digits in a fixed base. Digit 0 stands for the end of the text
and for symbols that never occur, so no stored key contains it. Sorting the keys of the highest order sorts
those of every lower order, too. Keys are sorted arrays, searched by bisection.

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


class NGramCounts(NamedTuple):
    """The distinct n-grams of one order, sorted, and their counts; both (n_grams,)."""

    keys: Keys
    counts: Counts


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
    windows = np.zeros(len(digits), dtype=np.uint64)  # (N,): the n-gram that starts at each position
    for offset in range(max_order):
        windows *= np.uint64(base)
        windows[: len(digits) - offset] += digits[offset:]
    windows.sort()
    tables = [NGramCounts(np.zeros(1, dtype=np.uint64), np.array([len(digits)], dtype=np.uint32))]
    for order in range(1, max_order + 1):
        keys, counts = run_lengths(windows // np.uint64(base ** (max_order - order)))
        whole = keys % np.uint64(base) != 0  # the others extend beyond the end of the text
        n_grams = len(keys) + sum(len(table.keys) for table in tables)
        if order > 3 and n_grams > max_grams:
            break
        tables.append(NGramCounts(keys[whole], counts[whole]))
    return tables


def run_lengths(values: Keys) -> NGramCounts:
    """Return the distinct values of a sorted array and their counts."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return NGramCounts(values[starts], np.diff(starts, append=len(values)).astype(np.uint32))


def smooth_orders(tables: list[NGramCounts], base: int) -> Iterator[SmoothedOrder]:
    """Smooth every order from 1 on; `tables` start with order 0."""
    for order in range(1, len(tables)):
        keys, counts = tables[order]
        contexts = tables[order - 1].keys
        context_of = np.searchsorted(contexts, keys // np.uint64(base))
        lower = None
        if order + 1 < len(tables):
            continuations = continuation_counts(keys, tables[order + 1].keys, base**order)
            lower = smooth(continuations, context_of, len(contexts))
        yield SmoothedOrder(order, keys, smooth(counts, context_of, len(contexts)), lower)


def continuation_counts(keys: Keys, longer: Keys, base_power: int) -> Counts:
    """Count the distinct symbols before each n-gram, from the n-grams of the next order."""
    suffixes = longer % np.uint64(base_power)
    suffixes.sort()
    distinct, counts = run_lengths(suffixes)
    before = np.zeros(len(keys), dtype=np.uint32)  # 0 for an n-gram that only starts the text
    before[np.searchsorted(keys, distinct)] = counts
    return before


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


def find(table: Keys, keys: Keys) -> Indices:
    """Return the index of each key in a sorted table, −1 if missing."""
    at = np.searchsorted(table, keys)
    at[at == len(table)] = 0
    return np.where(table[at] == keys, at, -1)
