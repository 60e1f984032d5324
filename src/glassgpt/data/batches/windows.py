"""Batches of running text as a pure function of (seed, step), without a stateful loader.

Training draws non-overlapping windows in shuffled order; each epoch has a new order and a new offset.
Evaluation walks the validation split from end to end and predicts each token exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from glassgpt.data.batches.batch import IGNORE, Batch
from glassgpt.data.batches.tokens import Split, TokenData


class TrainWindows:
    """Shuffled windows of T tokens and their targets."""

    def __init__(self, split: Split, block_size: int, seed: int) -> None:
        self.ids, self.T, self.seed = split.ids, min(block_size, len(split) - 1), seed
        self.per_epoch = max(1, (len(self.ids) - self.T) // self.T)
        self._epoch, self._starts = -1, np.zeros(0, np.int64)

    def batch(self, index: int, B: int) -> Batch:
        """Return batch number `index` of B sequences."""
        places = np.arange(index * B, (index + 1) * B)
        starts = np.array([self._start(place) for place in places.tolist()])  # (B,)
        rows = self.ids[starts[:, None] + np.arange(self.T + 1)]  # (B, T + 1)
        rows = torch.from_numpy(rows.astype(np.int64))
        return Batch(rows[:, :-1].contiguous(), rows[:, 1:].contiguous())

    def _start(self, place: int) -> int:
        epoch, position = divmod(place, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._starts = epoch, self._shuffle(epoch)
        return int(self._starts[position])

    def _shuffle(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, epoch))
        room = len(self.ids) - 1 - self.per_epoch * self.T  # largest offset of the first window
        offset = rng.integers(0, min(self.T, room) + 1)
        return offset + self.T * rng.permutation(self.per_epoch)


def eval_batches(data: TokenData, block_size: int, B: int) -> Iterator[Batch]:
    """Yield the whole validation split in windows without overlap.

    The first window begins with the last training token. Each validation token is a target exactly once, so
    the sum of the losses is the cost of the split.
    """
    val = data.val.ids
    for start in range(0, len(val), B * block_size):
        targets = val[start : start + B * block_size].astype(np.int64)
        before = val[start - 1] if start else data.train.ids[-1]
        tokens = np.concatenate(([before], targets[:-1]))
        padding = -len(targets) % block_size if len(targets) > block_size else 0
        tokens = np.pad(tokens, (0, padding))
        targets = np.pad(targets, (0, padding), constant_values=IGNORE)
        T = min(block_size, len(tokens))
        yield Batch(torch.from_numpy(tokens).view(-1, T), torch.from_numpy(targets).view(-1, T))  # (B, T)
