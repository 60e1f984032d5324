"""Speculative decoding by prompt lookup: draft the next tokens from earlier text.

A draft needs no second model and never changes a token: the model verifies it (engine.py). Repetitive text is
drafted well, several tokens at a time: memorized passages, quotes of the prompt, code, lists.
Source: prompt lookup (Saxena 2023) with the verification of Leviathan et al. 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glassgpt.generate.sampling import check_whole


class PromptLookup:
    """Find the last n-gram of a text in earlier text, and draft its continuation.

    n_draft: tokens per draft. max_ngram, min_ngram: lengths of the n-gram, longest first. text: ids of a
    training text; its last 4 M tokens are searched in addition to the request's own text. Raises UserError
    for a number below 1, and a `max_ngram` below `min_ngram`.

    >>> PromptLookup(n_draft=3).propose([1, 2, 3, 4, 9, 9, 1, 2, 3])
    [4, 9, 9]
    """

    TEXT = 1 << 22
    """Maximum number of searched tokens of another text."""

    def __init__(
        self, n_draft: int = 4, *, max_ngram: int = 8, min_ngram: int = 3, text: np.ndarray | None = None
    ) -> None:
        check_whole("n_draft", n_draft, least=1)
        check_whole("max_ngram", max_ngram, least=check_whole("min_ngram", min_ngram, least=1))
        self.n_draft, self.lengths = n_draft, range(max_ngram, min_ngram - 1, -1)
        self.text = None if text is None else np.asarray(text[-self.TEXT :], dtype=np.int64)
        self._tables = {} if self.text is None else {n: _index(self.text, n) for n in self.lengths}

    def propose(self, ids: Sequence[int]) -> list[int]:
        """Draft up to `n_draft` next ids; none if no n-gram occurred before."""
        if self.text is None:
            return self._from_itself(ids)
        draft: list[int] = []
        context = list(ids[-self.lengths[0] :])
        while len(draft) < self.n_draft and (after := self._from_text(context)) is not None:
            draft.append(after)
            context.append(after)
        return draft or self._from_itself(ids)

    def _from_itself(self, ids: Sequence[int]) -> list[int]:
        for n in self.lengths:
            if len(ids) > n and (at := _last_place(ids, n)) is not None:
                return list(ids[at + n : at + n + self.n_draft])
        return []

    def _from_text(self, ids: Sequence[int]) -> int | None:
        """Return the most frequent successor of the longest known n-gram."""
        for n in self.lengths:
            if len(ids) >= n:
                keys, after = self._tables[n]
                key = _hash(np.array(ids[-n:], dtype=np.int64))[0]
                at = int(np.searchsorted(keys, key))
                if at < len(keys) and keys[at] == key:
                    return int(after[at])
        return None


def _last_place(ids: Sequence[int], n: int) -> int | None:
    """Find the latest earlier occurrence of the last n ids."""
    ngram = list(ids[-n:])
    for at in range(len(ids) - n - 1, -1, -1):
        if ids[at] == ngram[0] and list(ids[at : at + n]) == ngram:
            return at
    return None


def _hash(ngrams: np.ndarray) -> np.ndarray:
    """Hash n-grams, (..., n) ids -> (...); a collision has probability 2⁻⁶⁴."""
    ngrams = np.atleast_2d(ngrams).astype(np.uint64)
    key = np.zeros(ngrams.shape[:-1], np.uint64)
    for i in range(ngrams.shape[-1]):
        key = (key ^ (ngrams[..., i] + np.uint64(1))) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key


def _index(text: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Build the sorted hashes of all n-grams, and the most frequent successor of each."""
    if len(text) <= n:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(text, n + 1)  # (m, n + 1)
    keys, after = _hash(windows[:, :-1]), windows[:, -1]  # (m,) each
    order = np.lexsort((after, keys))
    keys, after = keys[order], after[order]
    # One row for each pair of n-gram and successor.
    differs = (keys[1:] != keys[:-1]) | (after[1:] != after[:-1])
    start = np.flatnonzero(np.r_[True, differs])
    count = np.diff(np.r_[start, len(keys)])
    keys, after = keys[start], after[start]
    best = np.lexsort((-count, keys))  # for each n-gram, the most frequent successor first
    keys, after = keys[best], after[best]
    first = np.r_[True, keys[1:] != keys[:-1]]
    return keys[first], after[first]
