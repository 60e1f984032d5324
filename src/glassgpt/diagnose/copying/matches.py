"""Longest verbatim match at each character of a text, exactly, and the spans that are copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glassgpt.diagnose.copying.suffixes import CAP, OVERLAP, Chunk, Sample, SuffixIndex, words

ROWS = 1 << 17
"""Positions that are compared at once."""
STRIDE = 4
"""Every so many characters are looked up first: a power of two."""
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

    Exact for passages of up to 64 KB; of a longer one, the first place found counts.
    """
    text = text.encode("utf-8", "replace").decode()  # a lone surrogate matches nothing
    data = text.encode()
    begins = np.flatnonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80)  # (n_chars,)
    if not len(begins):
        return Matches(text, index, np.zeros(0, int), np.zeros(0, int))
    lengths, offsets = _capped(index, data, begins)
    _extend(index, data, begins, lengths, offsets)
    # A match may end within a character that only begins like the one in the training text.
    n_whole = np.zeros(len(data) + 1, int)  # characters that end up to each byte
    n_whole[begins[1:]] = n_whole[-1] = 1
    n_whole = n_whole.cumsum()
    return Matches(text, index, n_whole[begins + lengths] - np.arange(len(begins)), offsets)


def _capped(index: SuffixIndex, data: bytes, begins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return length and offset of the longest match at each character, up to CAP bytes: (n_chars,) each.

    The end of a match never falls from one character to the next. So a character between two whose matches
    end at the same place has the same match, without its first bytes.
    """
    query, n = words(np.frombuffer(data + QUERY_END, np.uint8)).astype(np.uint64), len(begins)
    stops, offsets = np.empty(n, int), np.empty(n, int)

    def look_up(characters: np.ndarray) -> None:
        for i in range(0, len(characters), ROWS):
            rows = characters[i : i + ROWS]
            lengths, offsets[rows] = _look_up(index, query, begins[rows])
            stops[rows] = begins[rows] + lengths

    look_up(np.union1d(np.arange(0, n, STRIDE), n - 1))
    step = STRIDE // 2
    while step:
        between = np.arange(step, n - 1, 2 * step)
        before, after = between - step, np.minimum(between + step, n - 1)
        same = stops[before] == stops[after]
        known, source = between[same], before[same]
        stops[known] = stops[source]
        offsets[known] = offsets[source] + begins[known] - begins[source]
        look_up(between[~same])
        step //= 2
    return stops - begins, offsets


def _look_up(index: SuffixIndex, query: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return length and offset of the longest match of the query at each offset, up to CAP: (N,), (N,)."""
    order = _order(query[at])  # neighbors in the index are neighbors in memory
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


def _order(keys: np.ndarray) -> np.ndarray:
    """Return the order of ROWS keys at most, by their upper bits: quicker than argsort. (N,)."""
    low = np.uint64(ROWS - 1)
    return (np.sort(keys & ~low | np.arange(len(keys), dtype=np.uint64)) & low).astype(int)


def _insertion(
    index: SuffixIndex, chunk: Chunk, sample: Sample, query: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Return the number of a chunk's suffixes that come before the query at each offset: (N,).

    A search in the sample by 16 bytes narrows the places down; the suffixes themselves decide the rest.
    """
    first, second = query[at], query[at + 8]
    left = np.searchsorted(sample.first, first)
    near = left.clip(max=len(sample.first) - 1)
    end = np.where(sample.first[near] == first, sample.ends[near], left)
    left = _bisect(left, end, lambda middle, rows: sample.second[middle] < second[rows])
    tied = left < end
    tied[tied] = sample.second[left[tied]] == second[tied]
    low = np.where(left > 0, (left - 1) * sample.step + 1, 0)
    high = np.minimum(np.where(tied, end, left) * sample.step, chunk.n)
    text = index.words
    return _bisect(
        low, high, lambda middle, rows: _is_before(text, index.offsets(chunk, middle), query, at[rows])
    )


def _bisect(
    low: np.ndarray, high: np.ndarray, is_before: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Bisect all ranges [low, high) at once: return where each key belongs, (N,).

    is_before: gets one place of each of some ranges, and the numbers of these ranges; says which places come
    before the key.
    """
    low, high = low.copy(), high.copy()
    rest = np.flatnonzero(low < high)
    while len(rest):
        middle = (low[rest] + high[rest]) // 2
        before = is_before(middle, rest)
        low[rest[before]] = middle[before] + 1
        high[rest[~before]] = middle[~before]
        rest = rest[low[rest] < high[rest]]
    return low


def _first_difference(
    text: np.ndarray, found: np.ndarray, query: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare the text at an offset with the query at another, by CAP bytes.

    Returns the first words that differ, of both, and their place in bytes: (N,) each; two equal words at
    CAP - 8 if none does.
    """
    ours, theirs, place = text[found].astype(np.uint64), query[at], np.zeros(len(at), int)
    rest = np.flatnonzero(ours == theirs)
    for i in range(8, CAP, 8):
        if not len(rest):
            break
        our, their = text[found[rest] + i].astype(np.uint64), query[at[rest] + i]
        ours[rest], theirs[rest], place[rest] = our, their, i
        rest = rest[our == their]
    return ours, theirs, place


def _is_before(text: np.ndarray, found: np.ndarray, query: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return where the text at an offset comes before the query at another, by CAP bytes: (N,)."""
    ours, theirs, _ = _first_difference(text, found, query, at)
    return ours < theirs


def _n_equal(text: np.ndarray, found: np.ndarray, query: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the number of equal bytes of the text at an offset and the query at another, up to CAP: (N,)."""
    ours, theirs, place = _first_difference(text, found, query, at)
    differing = ours ^ theirs
    return np.where(differing > 0, place + 7 - (_top_bit(differing) >> 3), CAP)


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
    for at, run_stop in _runs(lengths >= CAP):
        after_run = int(begins[run_stop] + lengths[run_stop]) if run_stop < len(begins) else len(data)
        while at < run_stop:
            start = int(begins[at])
            length, offset = _longest(index, data, start)
            stop = start + length
            same = stop >= after_run
            after = run_stop if same else _first_longer(index, data, begins, at, run_stop, stop)
            steps = begins[at:after] - start
            lengths[at:after] = length - steps
            offsets[at:after] = offset + steps
            at = after


def _runs(flags: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield start and stop of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _longest(index: SuffixIndex, data: bytes, start: int) -> tuple[int, int]:
    """Return length and offset of the longest match of `data[start:]`."""
    length, offset = 0, 0
    for size in (8 * CAP, OVERLAP):  # most matches are short, and reading is what takes time
        query = data[start : start + size]
        length, offset = max(_neighbors(index, query))
        if length < size:
            return length, offset
    return length + _common(index.text[offset + length :], data[start + length :]), offset


def _neighbors(index: SuffixIndex, query: bytes) -> Iterator[tuple[int, int]]:
    """Yield length and offset of the match of a query and each suffix next to its place."""
    for chunk in index.chunks:
        place = index.bisect(chunk, query)
        for neighbor in range(max(place - 1, 0), min(place + 1, chunk.n)):
            offset = int(index.offsets(chunk, np.array(neighbor)))
            yield _common(index.text[offset : offset + len(query)], query), offset


def _common(text: np.ndarray, query: bytes) -> int:
    """Return the number of equal bytes at the start of both."""
    n = min(len(text), len(query))
    for i in range(0, n, OVERLAP):
        differing = text[i : i + OVERLAP][: n - i] != np.frombuffer(query[i : i + OVERLAP], np.uint8)[: n - i]
        if differing.any():
            return i + int(differing.argmax())
    return n


def _first_longer(
    index: SuffixIndex, data: bytes, begins: np.ndarray, at: int, run_stop: int, stop: int
) -> int:
    """Return the first character after `at` whose match ends after byte `stop`; `run_stop` if none does.

    A character that far before `stop` that its match is longer than OVERLAP is taken for one whose does not.
    """
    if stop >= len(data):
        return run_stop
    low, high = at + 1, run_stop
    while low < high:
        middle = (low + high) // 2
        passage = data[int(begins[middle]) : stop + 1]
        if len(passage) > CAP and (len(passage) > OVERLAP or index.find(passage) < 0):
            low = middle + 1
        else:
            high = middle
    return low
