"""Masked-language-model batches: some tokens of running text are masked and predicted.

The masked positions are a pure function of (seed, index), or of the seed alone in evaluation.
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
"""Masked share of a validation split. It is fixed, so runs with other training settings stay comparable."""


class MaskedWindows:
    """Shuffled windows of T tokens, a share of them replaced by `mask_id`."""

    def __init__(self, split: Split, block_size: int, seed: int, mask_id: int, fraction: float) -> None:
        self.windows = TrainWindows(split, block_size, seed)
        self.mask_id, self.fraction, self.seed = mask_id, fraction, seed

    @property
    def T(self) -> int:
        """Length of a window."""
        return self.windows.T

    def batch(self, index: int, B: int) -> Batch:
        """Return batch number `index` of B sequences."""
        tokens = self.windows.batch(index, B).tokens  # (B, T)
        rng = np.random.default_rng((self.seed, index, 1))
        mask = torch.from_numpy(draw_mask(rng, tuple(tokens.shape), self.fraction))  # (B, T)
        return masked(tokens, mask, self.mask_id)


def masked(tokens: Tensor, mask: Tensor, mask_id: int) -> Batch:
    """Replace masked tokens by `mask_id` and predict only them. tokens and mask: (B, T)."""
    return Batch(tokens.masked_fill(mask, mask_id), tokens.masked_fill(~mask, IGNORE))


def draw_mask(rng: np.random.Generator, shape: tuple[int, ...], fraction: float) -> np.ndarray:
    """Draw a boolean mask that is True for `fraction` of all positions, at least one."""
    n = int(np.prod(shape))
    mask = np.zeros(n, bool)
    mask[rng.choice(n, max(1, round(n * fraction)), replace=False)] = True
    return mask.reshape(shape)  # (n,) -> shape


def eval_mask(n_tokens: int, seed: int) -> np.ndarray:
    """Draw the mask of a validation split: (n_tokens,) of bool."""
    return draw_mask(np.random.default_rng((seed, 2)), (n_tokens,), EVAL_MASK_FRACTION)


def masked_eval_batches(
    val: Split, mask: np.ndarray, block_size: int, B: int, mask_id: int
) -> Iterator[Batch]:
    """Yield the whole split in windows without overlap, with the same mask each time.

    mask: (len(val),) of bool, from `eval_mask`. Windows without a masked token are skipped.
    """
    for start in range(0, len(val), B * block_size):
        ids = val.ids[start : start + B * block_size].astype(np.int64)
        hidden = mask[start : start + B * block_size]
        T = min(block_size, len(ids))
        whole = len(ids) // T * T
        for a, b in ((0, whole), (whole, len(ids))):  # a shorter last window is a batch of its own
            if hidden[a:b].any():
                shape = (-1, min(T, b - a))  # (B, T)
                yield masked(
                    torch.from_numpy(ids[a:b]).view(shape), torch.from_numpy(hidden[a:b]).view(shape), mask_id
                )


def sliding_masked_batches(
    val: Split, mask: np.ndarray, counted: np.ndarray, block_size: int, B: int, mask_id: int
) -> Iterator[Batch]:
    """Yield the split in windows that overlap by half a block, with the same mask as `masked_eval_batches`.

    mask: (len(val),) of bool. counted: (len(val),) of bool, the masked tokens to predict. Each is a target
    once, in the middle half of its window: the model sees at least a quarter of a block on both sides, unless
    the split ends there. Windows without a target are skipped.
    """
    T = min(block_size, len(val))
    stride = max(1, T // 2)
    firsts = [i for i in range(0, len(val), stride) if counted[i : i + stride].any()]
    for i in range(0, len(firsts), B):
        first = np.array(firsts[i : i + B])[:, None]  # (B, 1)
        begin = np.clip(first - (T - stride) // 2, 0, len(val) - T)  # of each window
        places = begin + np.arange(T)  # (B, T)
        hidden = torch.from_numpy(mask[places])
        targets = torch.from_numpy((places >= first) & (places < first + stride) & counted[places])
        tokens = torch.from_numpy(val.ids[places].astype(np.int64))
        yield Batch(tokens.masked_fill(hidden, mask_id), tokens.masked_fill(~targets, IGNORE))
