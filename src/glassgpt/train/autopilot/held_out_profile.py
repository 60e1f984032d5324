"""Losses of counted 5-grams along the held-out text, which scale a loss on a part to the whole.

An evaluation reads a part of the held-out text, and parts differ: by 2 % on a novel, by 20 % on manuals that
repeat themselves. Counted n-grams find the same passages hard as a model does, and are quickly measured on
all of the text. So the model's loss on the whole is its loss on the part, times what the whole costs them and
divided by what the part costs them: a ratio estimator, with the n-grams as its control variate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
TINY = 1e-9
"""Least loss that is divided by: counting knows a text of one character."""


class HeldOutProfile:
    """Losses of counted 5-grams along the held-out text."""

    def __init__(self, nats: Floats, n_bytes: Ints, n_chars: int) -> None:
        """Take the loss of each held-out symbol and its bytes of UTF-8, (N,) each.

        n_chars: characters of the text.
        """
        self.nats_per_char = float(np.sum(nats)) / n_chars
        self._ends = np.concatenate([[0], np.cumsum(n_bytes)])  # (N + 1,)
        self._sums = np.concatenate([[0.0], np.cumsum(nats)])  # (N + 1,)

    def nats(self, starts: Ints, stops: Ints) -> float:
        """Return the loss on all stretches together. starts, stops: (n,), their first and last byte + 1.

        >>> profile = HeldOutProfile(np.array([1.0, 2.0, 4.0]), np.array([1, 3, 1]), n_chars=3)
        >>> profile.nats(np.array([0, 4]), np.array([1, 5]))
        5.0
        """
        return float((self._until(stops) - self._until(starts)).sum())

    def scale(self, starts: Ints, stops: Ints) -> float:
        """Return what turns a model's loss per token on a part into its loss per character on the whole.

        starts, stops: (n,), first and last byte + 1 of each token of the part.

        >>> hard_at_the_end = HeldOutProfile(np.array([1.0, 1.0, 4.0]), np.array([1, 1, 1]), n_chars=3)
        >>> hard_at_the_end.scale(np.array([0, 1]), np.array([1, 2]))
        2.0
        """
        return self.nats_per_char * len(starts) / max(TINY, self.nats(starts, stops))

    def _until(self, places: Ints) -> Floats:
        """Return the loss of all characters before a byte, (n,); one inside a character counts in part."""
        return np.interp(places, self._ends, self._sums)
