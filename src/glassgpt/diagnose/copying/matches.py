"""Longest verbatim match at each character of a text, exactly, and the spans that are copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glassgpt.diagnose.copying.suffixes import CAP, OVERLAP, Chunk, Sample, SuffixIndex, words

ROWS = 1 << 17
"""Positions that are compared at once."""
QUERY_END = b"\xfe" * CAP
"""End of a query: a byte that neither a text nor its END holds."""


@dataclass(frozen=True)
class CopiedSpan:
    """A passage of a text that stands in the training text. It begins and ends between characters."""

    start: int
    stop: int
    """The passage is `text[start:stop]`."""
    text: str
    offset: int
    """Byte of the training text where it stands; one place if there are several."""
    count: int
    """Times that it stands in the training text."""
    line: int = 0
    """Line of the training text, from 1; 0 where it was not asked."""
    document: str = ""
    """Name of the document, if the run knows it."""

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Matches:
    """The longest match at each character of a text: `lengths` in characters, `offsets` into the index."""

    text: str
    index: SuffixIndex
    lengths: np.ndarray
    """(n_chars,); 0 for a character that the training text lacks."""
    offsets: np.ndarray
    """(n_chars,), in bytes of the training text."""

    @cached_property
    def stops(self) -> np.ndarray:
        """End of the match at each character: (n_chars,). It never falls from one character to the next."""
        return np.arange(len(self.lengths)) + self.lengths

    def spans(self, at_least: int) -> list[CopiedSpan]:
        """Return the matches of at least so many characters that lie in no longer one, in order."""
        before = np.concatenate([[0], self.stops[:-1]])
        starts = np.flatnonzero((self.lengths >= at_least) & (self.stops > before))
        return [self._span(int(start)) for start in starts]

    def _span(self, start: int) -> CopiedSpan:
        stop = int(self.stops[start])
        passage = self.text[start:stop]
        n = self.index.count(passage.encode()[:OVERLAP])
        return CopiedSpan(start, stop, passage, int(self.offsets[start]), n)


def longest_matches(index: SuffixIndex, text: str) -> Matches:
    """Find the longest passage at each character of a text that stands in the indexed text.

    Exact for passages of up to 64 KB; a longer one is found in parts.
    """
    text = text.encode("utf-8", "replace").decode()  # a lone surrogate matches nothing
    data = text.encode()
    begins = np.flatnonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80)  # (n_chars,)
    if not len(begins):
        return Matches(text, index, np.zeros(0, int), np.zeros(0, int))
    parts = [_capped(index, data, begins[i : i + ROWS]) for i in range(0, len(begins), ROWS)]
    lengths, offsets = (np.concatenate(column) for column in zip(*parts, strict=True))
    _extend(index, data, begins, lengths, offsets)
    # A match may end within a character that only begins like the one in the training text.
    stops = np.searchsorted(begins, begins + lengths, side="right") - 1  # the character that holds the end
    stops = np.where(begins + lengths >= len(data), len(begins), stops)
    return Matches(text, index, stops - np.arange(len(begins)), offsets)


def _capped(index: SuffixIndex, data: bytes, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return length and offset of the longest match at each offset of `data`, up to CAP bytes: (N,), (N,)."""
    query = words(np.frombuffer(data + QUERY_END, np.uint8)).astype(np.uint64)
    order = np.argsort(query[at])  # neighbors in the index are neighbors in memory
    at = at[order]
    best, offsets = np.zeros(len(at), int), np.zeros(len(at), int)
    for chunk, sample in zip(index.chunks, index.samples, strict=True):
        if not chunk.n:  # no character begins in it
            continue
        place = _insertion(index, chunk, sample, query, at)
        for neighbor in (place - 1, place):
            inside = (neighbor >= 0) & (neighbor < chunk.n)
            found = index.offsets(chunk, neighbor.clip(0, chunk.n - 1))
            length = _n_equal(index.words, found, query, at) * inside
            offsets = np.where(length > best, found, offsets)
            best = np.maximum(length, best)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return best[back], offsets[back]


def _insertion(
    index: SuffixIndex, chunk: Chunk, sample: Sample, query: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Return the number of a chunk's suffixes that come before the query at each offset: (N,).

    A search in the sample narrows the places down, and a bisection of all queries at once does the rest.
    """
    first = query[at]
    left = np.searchsorted(sample.keys, first)
    right, equal = left.copy(), sample.keys[left.clip(max=len(sample.keys) - 1)] == first
    right[equal] = np.searchsorted(sample.keys, first[equal], "right")
    low = np.where(left > 0, (left - 1) * sample.step + 1, 0)
    high = np.minimum(right * sample.step, chunk.n)
    rest = np.flatnonzero(low < high)
    while len(rest):
        middle = (low[rest] + high[rest]) // 2
        before = _is_before(index.words, index.offsets(chunk, middle), query, at[rest])
        low[rest] = np.where(before, middle + 1, low[rest])
        high[rest] = np.where(before, high[rest], middle)
        rest = rest[low[rest] < high[rest]]
    return low


def _is_before(text: np.ndarray, found: np.ndarray, query: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return where the text at an offset comes before the query at another, by CAP bytes: (N,)."""
    before, rest = np.zeros(len(found), bool), np.arange(len(found))
    for i in range(0, CAP, 8):
        ours, theirs = text[found[rest] + i].astype(np.uint64), query[at[rest] + i]
        before[rest] = ours < theirs
        rest = rest[ours == theirs]
        if not len(rest):
            break
    return before


def _n_equal(text: np.ndarray, found: np.ndarray, query: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the number of equal bytes of the text at an offset and the query at another, up to CAP: (N,)."""
    length, rest = np.full(len(found), CAP), np.arange(len(found))
    for i in range(0, CAP, 8):
        differing = text[found[rest] + i].astype(np.uint64) ^ query[at[rest] + i]
        unequal = differing > 0
        length[rest[unequal]] = i + 7 - (_top_bit(differing[unequal]) >> 3)
        rest = rest[~unequal]
        if not len(rest):
            break
    return length


def _top_bit(numbers: np.ndarray) -> np.ndarray:
    """Return the place of the highest bit of each number: the exponent of a float."""
    alone = numbers & ~(numbers >> np.uint64(1))  # no rounding may carry into a higher bit
    return (alone.astype(np.float64).view(np.int64) >> 52) - 1023


def _extend(
    index: SuffixIndex, data: bytes, begins: np.ndarray, lengths: np.ndarray, offsets: np.ndarray
) -> None:
    """Replace lengths of CAP by the true ones, in place.

    The end of the longest match never falls from one character to the next, so only those places are looked
    up where it moves.
    """
    at = 0
    for run_start, run_stop in _runs(lengths >= CAP):
        at = run_start
        while at < run_stop:
            start = int(begins[at])
            length, offset = _longest(index, data[start : start + OVERLAP], int(offsets[at]))
            stop = start + length
            after = _first_longer(index, data, begins, at, run_stop, stop)
            steps = begins[at:after] - start
            lengths[at:after] = length - steps
            offsets[at:after] = offset + steps
            at = after


def _runs(flags: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield start and stop of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _longest(index: SuffixIndex, query: bytes, offset: int) -> tuple[int, int]:
    """Return length and offset of the longest match of a query's start, which is CAP or longer."""
    low, high = CAP, min(2 * CAP, len(query))  # `low` bytes are found
    while high > low:
        found = index.find(query[:high])
        if found < 0:
            break
        low, offset, high = high, found, min(2 * high, len(query))
    while high - low > 1:
        middle = (low + high) // 2
        found = index.find(query[:middle])
        low, high, offset = (middle, high, found) if found >= 0 else (low, middle, offset)
    return low, offset


def _first_longer(
    index: SuffixIndex, data: bytes, begins: np.ndarray, at: int, run_stop: int, stop: int
) -> int:
    """Return the first character after `at` whose match ends after byte `stop`; `run_stop` if none does."""
    if stop >= len(data):
        return run_stop
    low, high = at + 1, run_stop
    while low < high:
        middle = (low + high) // 2
        start = int(begins[middle])
        if stop - start >= CAP and index.find(data[start : stop + 1][:OVERLAP]) < 0:
            low = middle + 1
        else:
            high = middle
    return low
