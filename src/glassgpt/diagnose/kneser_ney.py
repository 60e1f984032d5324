"""Tables of counted n-grams and what modified Kneser–Ney smoothing makes of them; ngram.py predicts with it.

An n-gram is one uint64, its symbols being digits in a fixed base. Digit 0 is kept for the emptiness after
the end of a text and for symbols that were never counted, so it stands in no table. Sorting the windows of
the highest order sorts those of every lower order, too; a table is a sorted array, searched by bisection.

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


class Table(NamedTuple):
    """The different n-grams of one order, sorted, and how often each occurs; both (n_grams,)."""

    grams: Keys
    counts: Counts


@dataclass(frozen=True)
class Estimate:
    """p(symbol | context) = probs[n-gram] + backoffs[context] · p(symbol | context less its first symbol).

    probs: (n_grams + 1,), backoffs: (n_contexts + 1,). The last entry of each, which index −1 finds, is for
    what was never seen: 0 and 1.
    """

    probs: Floats
    backoffs: Floats

    def __call__(self, grams: Indices, contexts: Indices, shorter: Floats) -> Floats:
        return self.probs[grams] + self.backoffs[contexts] * shorter


@dataclass(frozen=True)
class Level:
    """The n-grams of one order, sorted, and what they contribute.

    `final` is made from counts, for the model that ends at this order; `lower` from the number of different
    symbols that stand before each n-gram, for the models that go beyond it.
    """

    order: int
    grams: Keys
    final: Estimate | None
    lower: Estimate | None


def count_grams(digits: NDArray[np.integer], base: int, max_order: int, max_grams: int) -> list[Table]:
    """Tables of the orders 0 to `max_order`; fewer where 4 and up would bring over `max_grams` entries."""
    windows = np.zeros(len(digits), dtype=np.uint64)
    for offset in range(max_order):
        windows *= np.uint64(base)
        windows[: len(digits) - offset] += digits[offset:]
    windows.sort()
    tables = [Table(np.zeros(1, dtype=np.uint64), np.array([len(digits)], dtype=np.uint32))]
    for order in range(1, max_order + 1):
        grams, counts = run_lengths(windows // np.uint64(base ** (max_order - order)))
        whole = grams % np.uint64(base) != 0  # the others run over the end of the text
        n_grams = len(grams) + sum(len(table.grams) for table in tables)
        if order > 3 and n_grams > max_grams:
            break
        tables.append(Table(grams[whole], counts[whole]))
    return tables


def run_lengths(values: Keys) -> Table:
    """The different values of a sorted array and how often each occurs."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return Table(values[starts], np.diff(starts, append=len(values)).astype(np.uint32))


def estimate_levels(tables: list[Table], base: int) -> Iterator[Level]:
    """The levels of the orders 1, 2, … from the tables of the orders 0, 1, 2, …"""
    for order in range(1, len(tables)):
        grams, counts = tables[order]
        contexts = tables[order - 1].grams
        owners = np.searchsorted(contexts, grams // np.uint64(base))
        lower = None
        if order + 1 < len(tables):
            before = count_before(grams, tables[order + 1].grams, base**order)
            lower = estimate(before, owners, len(contexts))
        yield Level(order, grams, estimate(counts, owners, len(contexts)), lower)


def count_before(grams: Keys, longer: Keys, base_power: int) -> Counts:
    """How many different symbols stand before each n-gram, from the n-grams of the next order."""
    suffixes = longer % np.uint64(base_power)
    suffixes.sort()
    different, counts = run_lengths(suffixes)
    before = np.zeros(len(grams), dtype=np.uint32)  # 0 for one that stands only at the start of the text
    before[np.searchsorted(grams, different)] = counts
    return before


def estimate(counts: Counts, owners: Indices, n_contexts: int) -> Estimate:
    """Take a discount off each count; what that frees in a context is the weight of the shorter context.

    counts: (n_grams,), owners: (n_grams,), the index of each n-gram's context.
    """
    taken = np.array([0.0, *discounts(counts)])[np.minimum(counts, 3)]
    totals = np.bincount(owners, weights=counts, minlength=n_contexts)
    freed = np.bincount(owners, weights=taken, minlength=n_contexts)
    backoffs = np.divide(freed, totals, out=np.ones(n_contexts), where=totals > 0)
    probs = np.divide(counts - taken, totals[owners], out=np.zeros(len(counts)), where=counts > 0)
    return Estimate(np.append(probs, 0.0), np.append(backoffs, 1.0))


def discounts(counts: Counts) -> tuple[float, float, float]:
    """What to take off counts of 1, of 2 and of 3 or more, given how many counts are 1, 2, 3 and 4.

    >>> discounts(np.repeat([1, 2, 3, 4], [100, 40, 20, 12]).astype(np.uint32))
    (0.5555555555555556, 1.1666666666666665, 1.6666666666666665)
    """
    n1, n2, n3, n4 = (int(n) for n in np.bincount(np.minimum(counts, 5), minlength=5)[1:5])
    if not (n1 and n2 and n3):
        return FALLBACK_DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    d1, d2, d3 = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
    return (d1, d2, d3) if 0 < d1 < 1 and 0 < d2 < 2 and 0 < d3 < 3 else FALLBACK_DISCOUNTS
