"""Leakage: passages and lines that occur in both splits and lower the validation loss.

The search is exact: it finds every shared passage of 64 characters or more, at any offset, and every shared
line of 20. Passages with a few changed characters are found in parts. It finds no paraphrases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassgpt.data.corpus.text import Text
from glassgpt.language import N_, join_texts

MIN_PASSAGE = 64
BLOCK = MIN_PASSAGE // 2
MIN_LINE = 20
"""Shorter lines are too common to count: names of speakers, closing brackets."""
LONGEST_LINE = 10_000
"""Longer lines are cut, so that a text without lines costs no more."""
LONG = 200
"""A passage of this length is no chance, however small its share."""
NOTABLE = 0.05
"""Share of the validation text; phrases and tables of one author repeat in 1 to 4 % of it."""
LEAK_NOTE = N_("the training text also has")
"""Start of the note about a notable leak."""
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, hence invertible modulo 2**64
PIECE = 1 << 18


@dataclass(frozen=True)
class Leakage:
    """Passages and lines of the validation text that also occur in the training text."""

    n_passages: int
    share: float
    """Fraction of the validation characters in such passages."""
    longest: int
    """Length of the longest passage in characters."""
    excerpt: str
    """Start of the longest passage."""
    line_share: float
    """Fraction of the validation characters in whole lines that are also lines of the training text."""

    @property
    def is_notable(self) -> bool:
        """True if the validation loss is clearly better than on unseen text."""
        return self.longest >= LONG or max(self.share, self.line_share) >= NOTABLE

    def __str__(self) -> str:
        found = join_texts(" and ", self._parts())
        return N_(
            "{leak_note} {found} of the held-out text: the loss on new text is higher",
            leak_note=LEAK_NOTE,
            found=found,
        )

    def _parts(self) -> Iterator[str]:
        if self.n_passages:
            count = N_("1 passage") if self.n_passages == 1 else N_("{n:,} passages", n=self.n_passages)
            yield (
                N_(
                    "{count} of {min_passage} characters or more ({share:.1%}; the longest begins "
                    "{excerpt!r})",
                    count=count,
                    min_passage=MIN_PASSAGE,
                    share=self.share,
                    excerpt=self.excerpt,
                )
            )
        if self.line_share >= NOTABLE:
            yield N_("whole lines ({line_share:.1%})", line_share=self.line_share)


def stored_leakage(about: Any) -> Leakage | None:
    """Return the leakage of a manifest, as JSON values; None if there is none that can be used."""
    match about:
        case {
            "n_passages": int(n),
            "share": int(share) | float(share),
            "longest": int(longest),
            "excerpt": str(excerpt),
            "line_share": int(lines) | float(lines),
        }:
            return Leakage(n, share, longest, excerpt, lines)
    return None


def find_leakage(train: Text, val: Text) -> Leakage | None:
    """Find passages and lines of `val` (hashes in RAM) in `train` (streamed), or return None."""
    copied = _copied_windows(train, val)
    starts, stops, n_covered = (
        _passages(val, copied) if len(copied) else (np.zeros(0, int), np.zeros(0, int), 0)
    )
    line_share = _shared_line_chars(train, val) / max(1, val.n_chars)
    if not (len(starts) or line_share):
        return None
    longest = int(np.argmax(stops - starts)) if len(starts) else None
    begin = 0 if longest is None else int(starts[longest])
    return Leakage(
        n_passages=len(starts),
        share=n_covered / val.n_chars,
        longest=0 if longest is None else int(stops[longest] - begin),
        excerpt="" if longest is None else " ".join(val.read()[begin : begin + 80].split()),
        line_share=line_share,
    )


def _copied_windows(train: Text, val: Text) -> np.ndarray:
    """Return the sorted hashes of the windows of `val` that occur in `train`.

    Any 64 characters contain one whole block of an aligned grid of 32. So only these blocks of train are
    looked up among the hashes of all 32-character windows of val: a thirty-second of the work for every
    offset. Next to a hit, all 64-character windows are compared. Equal 64-bit hashes count as equal text:
    with 10**9 × 2·10**6 comparisons the chance of one false hit is about 10**-4.
    """
    if val.n_chars < MIN_PASSAGE or train.n_chars < MIN_PASSAGE:
        return np.zeros(0, np.uint64)
    blocks, windows = _sorted_windows(val, BLOCK), _sorted_windows(val, MIN_PASSAGE)
    found = np.zeros(len(windows), bool)
    for codes in _pieces(train, MIN_PASSAGE):
        hit = _contains(blocks, _aligned(codes))
        if hit.any():
            # A window contains the first whole block at or after its start, so that block must be a hit.
            first_block = -(-np.arange(len(codes) - MIN_PASSAGE + 1) // BLOCK)
            hashes = _windows(codes, MIN_PASSAGE)[hit[first_block]]
            hashes.sort()
            at = np.searchsorted(windows, hashes).clip(max=len(windows) - 1)
            found[at[windows[at] == hashes]] = True
            if found.all():
                break
    return windows[found]


def _passages(val: Text, copied: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Join the windows of val with a hash in `copied` (sorted) into passages.

    Returns their starts and stops, (n_passages,), and the number of characters in windows.
    """
    begins = np.concatenate(
        [_contains(copied, _windows(codes, MIN_PASSAGE)) for codes in _pieces(val, MIN_PASSAGE)]
    )
    first = np.flatnonzero(begins)
    n_covered = MIN_PASSAGE + int(np.minimum(np.diff(first), MIN_PASSAGE).sum())
    # A passage ends if the next window begins beyond its end, not if it only skips an offset.
    apart = np.flatnonzero(np.diff(first) > MIN_PASSAGE)
    starts = first[np.concatenate([[0], apart + 1])]
    stops = first[np.concatenate([apart, [len(first) - 1]])] + MIN_PASSAGE
    return starts, stops, n_covered


def _shared_line_chars(train: Text, val: Text) -> int:
    """Count the characters in lines of `val` that are also lines of `train`."""
    lines = [line for chunk in _line_chunks(val) for line in chunk if len(line) >= MIN_LINE]
    left, shared = set(lines), set[str]()
    for chunk in _line_chunks(train):
        shared |= left.intersection(chunk)
    return sum(len(line) + 1 for line in lines if line in shared)


def _line_chunks(text: Text) -> Iterator[list[str]]:
    rest = ""
    for piece in text.chunks():
        *lines, rest = (rest + piece).split("\n")
        rest = rest[-LONGEST_LINE:]
        yield [line.strip() for line in lines]
    yield [rest.strip()]


def _sorted_windows(text: Text, length: int) -> np.ndarray:
    hashes = np.concatenate([_windows(codes, length) for codes in _pieces(text, length)])
    hashes.sort()
    return hashes


def _pieces(text: Text, length: int) -> Iterator[np.ndarray]:
    """Yield code points in arrays that overlap by `length` - 1, so each window lies in exactly one."""
    carried = ""
    for piece in text.chunks(PIECE):
        carried += piece
        if len(carried) >= length:
            yield np.frombuffer(carried.encode("utf-32-le"), np.uint32).astype(np.uint64)
            carried = carried[len(carried) - length + 1 :]


def _powers(n: int) -> np.ndarray:
    return np.concatenate([[np.uint64(1)], np.full(n - 1, BASE)]).cumprod(dtype=np.uint64)


def _windows(codes: np.ndarray, length: int) -> np.ndarray:
    """Compute the polynomial hashes, modulo 2**64, of all windows: (n,) -> (n - length + 1,).

    sums[i] is the sum of codes[j]·BASE**j over j < i. A window's hash is the difference of two sums, times
    BASE**-i to make it independent of its offset.
    """
    inverse = pow(int(BASE), -1, 1 << 64)
    sums = np.concatenate([np.zeros(1, np.uint64), (codes * _powers(len(codes))).cumsum(dtype=np.uint64)])
    n = len(codes) - length + 1
    shifts = np.concatenate([[np.uint64(1)], np.full(n - 1, np.uint64(inverse))]).cumprod(dtype=np.uint64)
    return (sums[length:] - sums[:n]) * shifts


def _aligned(codes: np.ndarray) -> np.ndarray:
    """Compute the hashes of every BLOCK-th window only: (n,) -> (n // BLOCK,)."""
    n = len(codes) // BLOCK
    return codes[: n * BLOCK].reshape(n, BLOCK) @ _powers(BLOCK)  # (n, BLOCK) @ (BLOCK,) -> (n,)


def _contains(sorted_hashes: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Return where the hashes are among the sorted ones, (len(hashes),) of bool."""
    order = np.argsort(hashes)  # sorted lookups hit neighboring memory: several times faster
    wanted = hashes[order]
    at = np.searchsorted(sorted_hashes, wanted).clip(max=len(sorted_hashes) - 1)
    found = np.empty(len(hashes), bool)
    found[order] = sorted_hashes[at] == wanted
    return found
