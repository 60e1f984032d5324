"""What a training step is fed: the same type for every family."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

IGNORE = -100
"""Target of a position that is not predicted; the default of torch's cross-entropy."""


class Batch(NamedTuple):
    """Tokens, what to predict from them, and what to look at meanwhile.

    tokens: (B, T) int64, PAD where there is none. targets: int64, what the model's logits are held against,
    or IGNORE: (B, T) next or hidden tokens, (B, 1) classes. source: None, (B, S) tokens, or images
    (N, channels, H, W) of uint8. source_of: (B,), which of N sources each row is about; without it row i is
    about source i.
    """

    tokens: Tensor
    targets: Tensor
    source: Tensor | None = None
    source_of: Tensor | None = None

    def rows(self, rows: slice) -> Batch:
        """Some of the rows, with the sources that they are about."""
        source, source_of = self.source, self.source_of
        if source is not None and source_of is not None:
            used, source_of = source_of[rows].unique(return_inverse=True)
            source = source[used]
        elif source is not None:
            source = source[rows]
        return Batch(self.tokens[rows], self.targets[rows], source, source_of)

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device; from pinned memory without waiting."""

        def moved(t: Tensor) -> Tensor:
            return t.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else t.to(device)

        rest = (None if t is None else moved(t) for t in (self.source, self.source_of))
        return Batch(moved(self.tokens), moved(self.targets), *rest)
