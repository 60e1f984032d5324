"""The gradient of the user's loss at the logits: it shows each target, its weight, and label smoothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from glassgpt.data import IGNORE
from glassgpt.doctor.probes import FunctionProbe
from glassgpt.doctor.subject import Skip, Subject, find_logits
from glassgpt.errors import UserError
from glassgpt.language import N_

MAX_SMOOTHING = 0.5
"""Largest share that label smoothing spreads; more is another objective."""


@dataclass(frozen=True)
class LossGradient:
    """Logits (B, T, V) that the user's loss saw, and its gradient there."""

    loss: float
    logits: Tensor
    gradient: Tensor
    expected: Tensor
    """Targets of the batch, (B, T)."""

    @property
    def weights(self) -> Tensor:
        """Weight of each position (B, T): the gradient of its label's logit, over that of its own loss."""
        if self.smoothing:  # which holds for equal weights only
            return self.counted / self.counted.sum()
        own = self.logits.float().softmax(-1).gather(-1, self.labels[..., None])[..., 0]
        down = -self.gradient.float().gather(-1, self.labels[..., None])[..., 0]
        return down / (1 - own).clamp(min=1e-6)

    @cached_property
    def smoothing(self) -> float:
        """Share of each target that label smoothing spreads over all tokens, by value and gradient."""
        log_p = self.logits.float().log_softmax(-1)[self.counted]  # (n, V)
        targets, V = self.labels[self.counted], log_p.shape[-1]
        nats = float(-log_p.gather(-1, targets[:, None]).mean()) if len(targets) else 0.0
        spread = float(-log_p.mean()) - nats if len(targets) else 0.0
        share = (self.loss - nats) / spread if abs(spread) > 1e-3 else 0.0
        if not 0.005 < share < MAX_SMOOTHING:
            return 0.0
        goal = torch.full_like(log_p, share / V)
        goal.scatter_add_(-1, targets[:, None], torch.full_like(goal[:, :1], 1 - share))
        expected = (log_p.exp() - goal) / len(targets)
        off = float((self.gradient.float()[self.counted] - expected).norm() / expected.norm())
        return share if off < 0.02 else 0.0

    @property
    def targets(self) -> Tensor:
        """Token whose logit the loss raises most, (B, T)."""
        return self.gradient.argmin(-1)

    @cached_property
    def labels(self) -> Tensor:
        """Targets (B, T): those of the batch if most agree, since a smoothed one may be sure enough."""
        if self.expected.shape != self.targets.shape:
            return self.targets
        known = self.counted & (self.expected != IGNORE)
        agree = (self.targets == self.expected)[known].float().mean()
        return torch.where(known, self.expected, self.targets) if agree > 0.5 else self.targets

    @property
    def counted(self) -> Tensor:
        """True where a target counts, (B, T)."""
        return self.gradient.abs().amax(-1) > 1e-9


@contextmanager
def _kept_logits(s: Subject, kept: list[Tensor]) -> Iterator[None]:
    def hook(_: Any, args: Any, output: Any) -> None:
        try:
            logits = find_logits(output)
        except UserError:
            return
        if logits.requires_grad:
            logits.retain_grad()
            kept.append(logits)

    handle = s.model.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def loss_gradient(s: Subject) -> LossGradient:
    """Return the logits and the gradient of the user's loss. Raises Skip without a loss."""
    if s.loss_function is None:
        raise Skip(N_("no loss was given"))
    kept: list[Tensor] = []
    with _kept_logits(s, kept), FunctionProbe(keep=False, no_dropout=True):
        loss = s.loss_function(s.model, s.batch)
    if not isinstance(loss, Tensor) or loss.ndim:
        raise UserError("the loss is no scalar tensor. Return the mean loss of the batch, with its gradient.")
    logits = next((each for each in reversed(kept) if each.shape[:2] == s.data.tokens.shape), None)
    if logits is None:
        raise Skip(N_("the logits inside the loss were not seen"))
    loss.backward()
    if logits.grad is None:
        raise Skip(N_("the loss does not depend on the logits that were seen"))
    return LossGradient(loss.item(), logits.detach(), logits.grad.detach(), s.data.targets)
