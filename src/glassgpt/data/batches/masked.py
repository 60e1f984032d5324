"""Running text with gaps: some tokens are hidden, and the model says what they were.

Which ones is a pure function of the seed and the batch, or of the seed alone where it is measured.
Source: Devlin et al. 2019 (BERT), without its tenth of random and tenth of unchanged tokens.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from glassgpt.data.batches.batch import IGNORE, Batch
from glassgpt.data.batches.tokens import Split
from glassgpt.data.batches.windows import TrainWindows

EVAL_MASK_FRACTION = 0.15
"""Share of a validation split that is hidden. Fixed, so that runs that train differently can be compared."""


class MaskedWindows:
    """Shuffled windows of T tokens of which a share is replaced by `mask_id`."""

    def __init__(self, split: Split, block_size: int, seed: int, mask_id: int, fraction: float) -> None:
        self.windows = TrainWindows(split, block_size, seed)
        self.mask_id, self.fraction, self.seed = mask_id, fraction, seed

    @property
    def T(self) -> int:
        """Length of a window."""
        return self.windows.T

    def batch(self, index: int, B: int) -> Batch:
        """Batch number `index` of B sequences."""
        tokens = self.windows.batch(index, B).tokens  # (B, T)
        rng = np.random.default_rng((self.seed, index, 1))
        return masked(tokens, torch.from_numpy(hide(rng, tuple(tokens.shape), self.fraction)), self.mask_id)


def masked(tokens: Tensor, hidden: Tensor, mask_id: int) -> Batch:
    """tokens and hidden: (B, T). Targets are the hidden tokens only."""
    return Batch(tokens.masked_fill(hidden, mask_id), tokens.masked_fill(~hidden, IGNORE))


def hide(rng: np.random.Generator, shape: tuple[int, ...], fraction: float) -> np.ndarray:
    """True where a token is hidden: this share of all places, and at least one."""
    n = int(np.prod(shape))
    hidden = np.zeros(n, bool)
    hidden[rng.choice(n, max(1, round(n * fraction)), replace=False)] = True
    return hidden.reshape(shape)


def eval_mask(n_tokens: int, seed: int) -> np.ndarray:
    """Which of the tokens of a validation split are hidden: (n_tokens,) of bool."""
    return hide(np.random.default_rng((seed, 2)), (n_tokens,), EVAL_MASK_FRACTION)


def masked_eval_batches(
    val: Split, hidden: np.ndarray, block_size: int, B: int, mask_id: int
) -> Iterator[Batch]:
    """The whole split in windows that do not overlap, with the same gaps each time."""
    for start in range(0, len(val), B * block_size):
        ids = val.ids[start : start + B * block_size].astype(np.int64)
        gaps = hidden[start : start + B * block_size]
        T = min(block_size, len(ids))
        whole = len(ids) // T * T
        for a, b in ((0, whole), (whole, len(ids))):  # a last window that is shorter comes by itself
            if gaps[a:b].any():
                shape = (-1, min(T, b - a))
                yield masked(
                    torch.from_numpy(ids[a:b]).view(shape), torch.from_numpy(gaps[a:b]).view(shape), mask_id
                )
