"""Leakage: passages that occur in both splits and lower the validation loss.

The search is exact: it finds every shared passage of 200 characters or more, at any offset and size.
It finds copies only, no paraphrases and nothing shorter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glassgpt.data.corpus.text import Text

MIN_PASSAGE = 200
BLOCK = MIN_PASSAGE // 2
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, hence invertible modulo 2**64
PIECE = 1 << 18


@dataclass(frozen=True)
class Leakage:
    """Passages of the validation text that also occur in the training text."""

    n_passages: int
    share: float
    """Fraction of the validation characters."""
    excerpt: str
    """Start of the longest passage."""

    def __str__(self) -> str:
        count = "a passage" if self.n_passages == 1 else f"{self.n_passages:,} passages"
        verb = "occurs" if self.n_passages == 1 else "occur"
        return (
            f"{count} of {MIN_PASSAGE} characters or more {verb} in both splits, "
            f"{self.share:.1%} of the validation text: the validation loss will look better than it is. "
            f"The longest begins: {self.excerpt!r}"
        )


def find_leakage(train: Text, val: Text) -> Leakage | None:
    """Find passages of `val` (hashes in RAM) in `train` (streamed), or return None.

    Any 200 characters contain one whole block of an aligned grid of 100. So only these blocks of train are
    looked up among the hashes of all 100-character windows of val: a hundredth of the work for every offset.
    Next to a hit, all 200-character windows are compared. Equal 64-bit hashes count as equal text: with
    10**9 × 2·10**6 comparisons the chance of one false hit is about 10**-4.
    """
    if val.n_chars < MIN_PASSAGE or train.n_chars < MIN_PASSAGE:
        return None
    blocks, windows = _sorted_windows(val, BLOCK), _sorted_windows(val, MIN_PASSAGE)
    found = np.zeros(len(windows), bool)
    for codes in _pieces(train, MIN_PASSAGE):
        hit = _contains(blocks, _aligned(codes))
        if hit.any():
            # A window contains the first whole block at or after its start, so that block must be a hit.
            first_block = -(-np.arange(len(codes) - MIN_PASSAGE + 1) // BLOCK)
            hashes = _windows(codes, MIN_PASSAGE)[hit[first_block]]
            hashes.sort()  # sorted lookups hit neighboring memory: several times faster
            at = np.searchsorted(windows, hashes).clip(max=len(windows) - 1)
            found[at[windows[at] == hashes]] = True
            if found.all():
                break
    return _summary(val, windows[found]) if found.any() else None


def _summary(val: Text, copied: np.ndarray) -> Leakage:
    """Join the windows of val with a hash in `copied` (sorted) into passages."""
    begins = np.concatenate(
        [_contains(copied, _windows(codes, MIN_PASSAGE)) for codes in _pieces(val, MIN_PASSAGE)]
    )
    first = np.flatnonzero(begins)
    # A passage ends if the next window begins beyond its end, not if it only skips an offset.
    apart = np.flatnonzero(np.diff(first) > MIN_PASSAGE)
    starts = first[np.concatenate([[0], apart + 1])]
    stops = first[np.concatenate([apart, [len(first) - 1]])] + MIN_PASSAGE
    longest = int(np.argmax(stops - starts))
    begin = int(starts[longest])
    excerpt = " ".join(val.read()[begin : begin + 80].split())
    return Leakage(len(starts), float((stops - starts).sum() / val.n_chars), excerpt)


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
    at = np.searchsorted(sorted_hashes, hashes).clip(max=len(sorted_hashes) - 1)
    return sorted_hashes[at] == hashes
