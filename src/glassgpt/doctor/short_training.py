"""A few steps of training on one small batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from glassgpt.data import Batch
from glassgpt.doctor.probes import FunctionProbe
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

WARM_STEPS = 6
"""Steps after which projections that begin at zero have an effect."""


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that learn, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def short_training(s: Subject, steps: int, lr: float, batch: Batch | None = None) -> Iterator[float]:
    """Train on a batch, by default the small one, with Adam and without dropout; yield the loss before each
    step.
    """
    params = list(trainable(s.model).values())
    if not params:
        raise Skip(N_("no parameter learns"))
    optimizer = torch.optim.Adam(params, lr=lr, betas=(0.9, 0.95))
    s.model.train()
    with torch.enable_grad(), FunctionProbe(keep=False, no_dropout=True):
        for i in range(steps):
            optimizer.zero_grad()
            loss = s.loss(batch)
            loss.backward()
            yield loss.item()
            for p in params:
                if p.grad is not None and p.grad.is_sparse:
                    p.grad = None  # a large table that few tokens reach: it stays as it is
            nn.utils.clip_grad_norm_(params, 1.0)
            for group in optimizer.param_groups:
                group["lr"] = lr * min(1.0, (i + 1) / 8)
            optimizer.step()


def warm_up(s: Subject) -> None:
    """Take a few steps if a model begins with projections of zero: until then they hide everything."""
    if any(p.ndim == 2 and not p.any() for p in s.model.parameters()):
        for _ in short_training(s, WARM_STEPS, 3e-3):
            pass
        s.model.eval()
