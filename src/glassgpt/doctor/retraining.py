"""Find the part whose weights are not those of the training: trained alone, it brings the loss back."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from glassgpt.doctor.checks import Problem
from glassgpt.doctor.model_parts import category_of
from glassgpt.doctor.probes import FunctionProbe
from glassgpt.doctor.short_training import trainable
from glassgpt.doctor.subject import Subject, preserved
from glassgpt.language import N_

STEPS, LR = 25, 3e-3
LEAST = 0.5
"""Smallest share of the lost nats that the part at fault regains."""
ROWS = 8


def retrained_part(s: Subject, recorded: float) -> Iterator[Problem]:
    """Train each part alone, on some rows, and measure others; name the part that regains most."""
    parts = _parts(s.model)
    now = _held_out(s)
    left = {key: _loss_after(s, names) for key, names in parts.items()}
    best = min(left, key=left.__getitem__, default=None)
    if best is None or now - left[best] < LEAST * (now - recorded):
        return
    category, where = best
    yield Problem(
        "projections" if category == "attention" else category,
        N_("a part does not fit the others"),
        N_("trained alone for {n} steps, it regains {nats:.3f} nats", n=STEPS, nats=now - left[best]),
        N_("load the weights of this part again, with the settings of the training"),
        where,
        cost=now - left[best],
    )


def _parts(model: nn.Module) -> dict[tuple[str, str], list[str]]:
    """Return the names of matrices by category and the path above, and those of all gains together."""
    parts: dict[tuple[str, str], list[str]] = {}
    for name, p in trainable(model).items():
        category = category_of(name)
        above = ".".join(name.split(".")[:3]) if p.ndim >= 2 and name.count(".") > 2 else ""
        parts.setdefault((category, above), []).append(name)
    return parts


def _held_out(s: Subject) -> float:
    s.model.eval()
    with torch.no_grad():
        return s.loss_value(s.data.rows(slice(ROWS, 3 * ROWS)))


def _loss_after(s: Subject, names: list[str]) -> float:
    """Return the loss on other rows, at best, while some parameters learn alone."""
    params = [trainable(s.model)[name] for name in names]
    batch, lowest = s.data.rows(slice(0, ROWS)), float("inf")
    with preserved(s.model), FunctionProbe(keep=False, no_dropout=True):
        optimizer = torch.optim.Adam(params, lr=LR)
        for i in range(STEPS):
            s.model.zero_grad(set_to_none=True)
            with torch.enable_grad():
                s.loss(batch).backward()
            if any(p.grad is not None and p.grad.is_sparse for p in params):
                return float("inf")
            optimizer.step()
            if i % 5 == 4:
                lowest = min(lowest, _held_out(s))
    return lowest
