"""Check of the backward pass: the gradient is the slope of the loss, part by part."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.model_parts import category_of
from glassgpt.doctor.probes import FunctionProbe
from glassgpt.doctor.short_training import trainable
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

CHANGE = 0.03
"""Change of the loss by a step along the gradient, in nats: above rounding, below curvature."""
PARTS = (1.0, 0.3, 0.1)
"""Steps that are tried, as parts of the largest."""
STEADY = 0.2
"""Largest difference of the slopes of these steps, as a share: more is curvature."""
LEAST = 1e-3
"""Smallest change of the loss, in nats, that is no rounding."""
FAR = 0.02
"""Largest step relative to the weights: further away the slope is another one."""
LOW, HIGH = 0.75, 1.33
"""Slope over length of the gradient that counts as right."""


def _slope(s: Subject) -> Iterator[Problem]:
    """Step along the gradient of each part, both ways, and compare the loss with what the gradient says."""
    if any(p.dtype != torch.float32 for p in s.model.parameters()):
        raise Skip(N_("the weights are not float32 throughout"))
    s.model.train()
    with FunctionProbe(keep=False, no_dropout=True):
        parts = _gradients_of_parts(s)
        wrong = {
            category: ratio
            for category, grads in parts.items()
            if (ratio := _ratio(s, grads)) is not None and not LOW < ratio < HIGH
        }
    if not wrong:
        return
    category = max(wrong, key=lambda each: abs(wrong[each] - 1))
    yield Problem(
        "projections" if category == "attention" else category,
        N_("the gradient is not the slope of the loss"),
        N_("the loss changes {ratio:.2f} times as much as the gradient says", ratio=wrong[category]),
        N_("look for detach(), no_grad() or a backward pass of its own that is wrong"),
        next(name for name, p in trainable(s.model).items() if p in parts[category]),
    )


def _gradients_of_parts(s: Subject) -> dict[str, dict[nn.Parameter, Tensor]]:
    """Return the gradient of the reference loss for each category of parameters."""
    s.model.zero_grad(set_to_none=True)
    with torch.enable_grad():
        s.loss().backward()
    parts: dict[str, dict[nn.Parameter, Tensor]] = {}
    for name, p in trainable(s.model).items():
        if p.grad is not None and not p.grad.is_sparse:
            parts.setdefault(category_of(name), {})[p] = p.grad.clone()
    s.model.zero_grad(set_to_none=True)
    return parts


@torch.no_grad()
def _ratio(s: Subject, grads: dict[nn.Parameter, Tensor]) -> float | None:
    """Return the measured slope over that of the gradient; None if it changes with the step."""
    length = sum(float(g.square().sum()) for g in grads.values()) ** 0.5
    size = sum(float(p.square().sum()) for p in grads) ** 0.5
    ratios: list[float] = []
    for part in PARTS:
        move = part * min(CHANGE / max(length, 1e-12), FAR * size)  # of the weights
        if move * length > LEAST:
            ratios.append(_measured(s, grads, move / length) / length**2)
    steady = len(ratios) > 1 and max(ratios) - min(ratios) < STEADY * max(map(abs, ratios))
    return min(ratios, key=lambda ratio: abs(ratio - 1)) if steady else None


def _measured(s: Subject, grads: dict[nn.Parameter, Tensor], step: float) -> float:
    """Return the central difference of the loss for weights moved by `step` times the gradient."""
    kept = {p: p.detach().clone() for p in grads}
    losses: list[float] = []
    for sign in (1, -1):
        for p, g in grads.items():
            p.copy_(kept[p] + sign * step * g)
        losses.append(s.loss_value())
    for p, value in kept.items():
        p.copy_(value)
    return (losses[0] - losses[1]) / (2 * step)


SLOPE = Check(
    N_("slope"),
    N_("the gradient is the slope of the loss"),
    N_("training follows the gradient"),
    _slope,
)
CHECKS = (SLOPE,)
