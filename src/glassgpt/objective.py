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


class CrossEntropy(nn.Module):
    """−ln p of each target, summed: next tokens, hidden tokens, answers and classes alike."""

    def __init__(self, model: Model, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.model, self.label_smoothing = model, label_smoothing

    def forward(self, batch: Batch) -> LossSum:
        """Where the target is IGNORE nothing is counted. Labels are smoothed in training only."""
        return self.loss(self.logits(batch), batch.targets)

    def logits(self, batch: Batch, *, blank: bool = False) -> Tensor:
        """(B, T, V), or (B, 1, n_class). blank: with the memory zeroed, as if nothing had been given."""
        return self.model.predict(batch.tokens, batch.source, batch.source_of, blank=blank)

    def loss(self, logits: Tensor, targets: Tensor) -> LossSum:
        """logits: (B, T, V), targets: (B, T)."""
        total = F.cross_entropy(
            logits.flatten(0, 1).float(),
            targets.flatten(),
            ignore_index=IGNORE,
            reduction="sum",
            label_smoothing=self.label_smoothing if self.training else 0.0,
        )
        return LossSum(total, (targets != IGNORE).sum())


def n_correct(logits: Tensor, targets: Tensor) -> int:
    """How many sequences would come out right, token by token the likeliest.

    logits: (B, T, V), targets: (B, T). Each token is predicted after the right ones before it, which is what
    a greedy decoder sees as long as it makes no mistake: so this equals decoding and comparing.
    """
    right = (logits.argmax(-1) == targets) | (targets == IGNORE)
    return int(right.all(-1).sum())
