"""What training makes smaller. It owns the model, so it is what gets compiled or spread over machines."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.data import IGNORE, Batch
from glassgpt.models import Model


class LossSum(NamedTuple):
    """A sum of losses in nats and the number of tokens it runs over; the caller divides, globally."""

    total: Tensor
    n_tokens: Tensor


class NextToken(nn.Module):
    """−ln p of each next token, summed."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> LossSum:
        """batch: tokens and targets (B, T). Where the target is IGNORE nothing is counted."""
        logits = self.model(batch.tokens)  # (B, T, V)
        total = F.cross_entropy(
            logits.flatten(0, 1).float(), batch.targets.flatten(), ignore_index=IGNORE, reduction="sum"
        )
        return LossSum(total, (batch.targets != IGNORE).sum())
