"""The training objective (cross-entropy) and held-out evaluation, one for every model family.

The objective owns the model, so that `torch.compile` and data parallelism can wrap both at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.data import IGNORE, Batch
from glassgpt.models import Model


class LossSum(NamedTuple):
    """A summed loss in nats and its number of tokens, all 0-dimensional tensors.

    The caller divides: a mean over several batches or processes needs the global number of tokens. `total`
    is the loss to minimize; `nats` is −ln p of the targets, the same unless labels are smoothed.
    """

    total: Tensor
    n_tokens: Tensor
    nats: Tensor


class CrossEntropy(nn.Module):
    """Summed −ln p of the targets: next tokens, masked tokens, answers and classes alike."""

    def __init__(self, model: Model, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.model, self.label_smoothing = model, label_smoothing

    def forward(self, batch: Batch) -> LossSum:
        """Compute the loss of a batch; targets equal to IGNORE do not count."""
        return self.loss(self.logits(batch), batch.targets)

    def logits(self, batch: Batch, *, blank: bool = False) -> Tensor:
        """Return the logits, (B, T, V), or (B, 1, n_class) of a classifier.

        blank: zero the encoder states, as if the batch had no source.
        """
        return self.model.predict(batch.tokens, batch.source, batch.source_of, blank=blank)

    def loss(self, logits: Tensor, targets: Tensor) -> LossSum:
        """Compute the loss of logits (B, T, V) at targets (B, T).

        Labels are smoothed in training mode only.
        """
        flat = logits.flatten(0, 1).float(), targets.flatten()  # (B·T, V), (B·T,)
        nats = total = F.cross_entropy(*flat, ignore_index=IGNORE, reduction="sum")
        if self.training and (smoothing := self.label_smoothing):
            total = F.cross_entropy(*flat, ignore_index=IGNORE, reduction="sum", label_smoothing=smoothing)
        return LossSum(total, (targets != IGNORE).sum(), nats.detach())


def n_correct(logits: Tensor, targets: Tensor) -> int:
    """Count the rows in which every target has the highest logit.

    logits: (B, T, V), targets: (B, T). Each token is predicted after the correct tokens before it. A greedy
    decoder sees the same tokens until its first mistake, so this equals decoding and comparing.
    """
    correct = (logits.argmax(-1) == targets) | (targets == IGNORE)  # (B, T)
    return int(correct.all(-1).sum())


class Measured(NamedTuple):
    """The held-out loss of a model, summed over batches, and its correct rows.

    `n_rows` counts the rows checked for correctness: 0 if only the loss was measured. `saved_nats` is what
    more context saves `n_saved` of the targets: 0 of 0 if that was not measured.

    >>> measured = Measured(nats=300.0, n_tokens=200, n_correct=3, n_rows=4)
    >>> measured.nats_per_token, measured.exact
    (1.5, 0.75)
    """

    nats: float
    n_tokens: int
    n_correct: int = 0
    n_rows: int = 0
    saved_nats: float = 0.0
    n_saved: int = 0

    @property
    def nats_per_token(self) -> float:
        """Mean loss in nats per predicted token."""
        return self.nats / self.n_tokens

    @property
    def saved_by_context(self) -> float | None:
        """Nats per token that half a block of context saves the first half of a block; None if unknown."""
        return self.saved_nats / self.n_saved if self.n_saved else None

    @property
    def exact(self) -> float | None:
        """Share of rows with every target correct; None if rows were not checked."""
        return self.n_correct / self.n_rows if self.n_rows else None


@torch.no_grad()
def evaluate(
    model: Model, batches: Iterable[Batch], *, blank: bool = False, count_correct: bool = False
) -> Measured:
    """Measure the loss of a model on batches, in evaluation mode and without gradients.

    blank: zero the encoder states, as if the batches had no source. count_correct: count the correct rows,
    too, which takes an argmax over all logits. The model returns to its mode (training or evaluation), also
    after an error. Batches are moved to the model's device. Products have the precision of the surrounding
    context: `with autocast(device, dtype): evaluate(...)`.
    """
    was_training = model.training
    objective = CrossEntropy(model).eval()
    nats, n_tokens, right, n_rows = 0.0, 0, 0, 0
    try:
        for batch in batches:
            batch = batch.to(model.device)
            logits = objective.logits(batch, blank=blank)  # (B, T, V)
            loss = objective.loss(logits, batch.targets)
            nats, n_tokens = nats + loss.total.item(), n_tokens + int(loss.n_tokens)
            if count_correct:
                right, n_rows = right + n_correct(logits, batch.targets), n_rows + len(batch.targets)
    finally:
        model.train(was_training)
    return Measured(nats, n_tokens, right, n_rows)


@torch.no_grad()
def token_losses(model: Model, batches: Iterable[Batch]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the losses of each batch in nats, and where they count: (B, T) and (B, T) of bool.

    A loss is −ln p of the target, 0 where there is none. In evaluation mode, like `evaluate`.
    """
    was_training = model.training
    objective = CrossEntropy(model).eval()
    try:
        for batch in batches:
            batch = batch.to(model.device)
            logits = objective.logits(batch).flatten(0, 1).float()  # (B·T, V)
            nats = F.cross_entropy(logits, batch.targets.flatten(), ignore_index=IGNORE, reduction="none")
            nats = nats.view_as(batch.targets).double()  # (B, T)
            yield nats.cpu().numpy(), (batch.targets != IGNORE).cpu().numpy()
    finally:
        model.train(was_training)
