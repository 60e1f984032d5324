"""Guesses of what comes next, by looking up where the same was said before.

A guess costs no model. Right or wrong, it changes no token: the model checks it (engine.py). What a model has
learned by heart, quotes of the prompt, code and lists are guessed well, and come several tokens at a time.
Source: prompt lookup (Saxena 2023) with the verification of Leviathan et al. 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class PromptLookup:
    """Looks for the last few tokens of a text earlier in it, or in other text, and guesses what followed.

    n_guess: tokens guessed at once. longest, shortest: of the runs of tokens that are looked for. text: ids
    of a training text, the last 4 M of which are searched beside the request's own.

    >>> PromptLookup(n_guess=3).guess([1, 2, 3, 4, 9, 9, 1, 2, 3])
    [4, 9, 9]
    """

    TEXT = 1 << 22
    """Tokens of another text that are searched, at most."""

    def __init__(
        self, n_guess: int = 4, *, longest: int = 8, shortest: int = 3, text: np.ndarray | None = None
    ) -> None:
        self.n_guess, self.lengths = n_guess, range(longest, shortest - 1, -1)
        self.text = None if text is None else np.asarray(text[-self.TEXT :], dtype=np.int64)
        self._tables = {} if self.text is None else {n: _index(self.text, n) for n in self.lengths}

    def guess(self, ids: Sequence[int]) -> list[int]:
        """Up to `n_guess` ids that may follow; none where nothing like it was seen."""
        if self.text is None:
            return self._from_itself(ids)
        found: list[int] = []
        seen = list(ids[-self.lengths[0] :])
        while len(found) < self.n_guess and (after := self._from_text(seen)) is not None:
            found.append(after)
            seen.append(after)
        return found or self._from_itself(ids)

    def _from_itself(self, ids: Sequence[int]) -> list[int]:
        for n in self.lengths:
            if len(ids) > n and (at := _last_place(ids, n)) is not None:
                return list(ids[at + n : at + n + self.n_guess])
        return []

    def _from_text(self, ids: Sequence[int]) -> int | None:
        """What followed most often after the longest run that is known."""
        for n in self.lengths:
            if len(ids) >= n:
                keys, after = self._tables[n]
                key = _hash(np.array(ids[-n:], dtype=np.int64))[0]
                at = int(np.searchsorted(keys, key))
                if at < len(keys) and keys[at] == key:
                    return int(after[at])
        return None


def _last_place(ids: Sequence[int], n: int) -> int | None:
    """Where the last n ids stood before, the latest such place."""
    run = list(ids[-n:])
    for at in range(len(ids) - n - 1, -1, -1):
        if ids[at] == run[0] and list(ids[at : at + n]) == run:
            return at
    return None


def _hash(runs: np.ndarray) -> np.ndarray:
    """(..., n) ids -> (...) numbers, different for different runs but for a chance of 2⁻⁶⁴."""
    runs = np.atleast_2d(runs).astype(np.uint64)
    key = np.zeros(runs.shape[:-1], np.uint64)
    for i in range(runs.shape[-1]):
        key = (key ^ (runs[..., i] + np.uint64(1))) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key


def _index(text: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Of every run of n ids its hash, sorted, and the id that followed it most often."""
    if len(text) <= n:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    runs = np.lib.stride_tricks.sliding_window_view(text, n + 1)  # (m, n + 1)
    keys, after = _hash(runs[:, :-1]), runs[:, -1]
    order = np.lexsort((after, keys))
    keys, after = keys[order], after[order]
    new = np.r_[
        True, (keys[1:] != keys[:-1]) | (after[1:] != after[:-1])
    ]  # one row for each run and follower
    start = np.flatnonzero(new)
    count = np.diff(np.r_[start, len(keys)])
    keys, after = keys[start], after[start]
    best = np.lexsort((-count, keys))  # of each run, the most frequent follower first
    keys, after = keys[best], after[best]
    first = np.r_[True, keys[1:] != keys[:-1]]
    return keys[first], after[first]
