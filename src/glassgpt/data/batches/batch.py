"""The input of a training step: one type for every family."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

IGNORE = -100
"""Target of a position without a prediction; the default `ignore_index` of torch's cross-entropy."""


class Batch(NamedTuple):
    """Tokens, targets, and the source of cross-attention.

    tokens: (B, T) int64, padded with PAD.
    targets: int64, with IGNORE for no prediction: (B, T) next or masked tokens, (B, 1) classes.
    source: None, (B, S) tokens, or images (N, channels, H, W) of uint8.
    source_of: (B,), the index of each row's source among N. None: row i belongs to source i.
    """

    tokens: Tensor
    targets: Tensor
    source: Tensor | None = None
    source_of: Tensor | None = None

    def rows(self, rows: slice) -> Batch:
        """Return some rows, with their sources."""
        source, source_of = self.source, self.source_of
        if source is not None and source_of is not None:
            used, source_of = source_of[rows].unique(return_inverse=True)
            source = source[used]
        elif source is not None:
            source = source[rows]
        return Batch(self.tokens[rows], self.targets[rows], source, source_of)

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to a device; to a GPU from pinned memory, without waiting."""

        def moved(t: Tensor) -> Tensor:
            return t.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else t.to(device)

        rest = (None if t is None else moved(t) for t in (self.source, self.source_of))
        return Batch(moved(self.tokens), moved(self.targets), *rest)
