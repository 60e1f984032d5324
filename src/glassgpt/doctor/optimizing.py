"""Checks of the optimizer: its parameters, its gradients, and the size of its steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.objective import loss_gradient
from glassgpt.doctor.probes import FunctionProbe
from glassgpt.doctor.short_training import trainable
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

MAX_RATIO, MOST = 0.3, 3.0
"""Update relative to the weights of a matrix, per step: the first is too large if the loss rises, the other
always. Matrices that began at zero move far in healthy first steps."""


def _groups(s: Subject) -> Iterator[Problem]:
    """Compare the parameters of the optimizer with those of the model."""
    if not s.optimizers:
        raise Skip(N_("no optimizer was given"))
    groups = [group for optimizer in s.optimizers for group in optimizer.param_groups]
    held = [p for group in groups for p in group["params"]]
    counts = Counter(map(id, held))
    known = {id(p): name for name, p in s.model.named_parameters()}
    foreign = [p for p in held if id(p) not in known]
    missing = [name for name, p in trainable(s.model).items() if id(p) not in counts]
    twice = [known.get(key, "") for key, n in counts.items() if n > 1]
    if foreign and missing:
        yield Problem(
            "optimizer",
            N_("the optimizer holds parameters of another model"),
            N_("{n} of {of} are not the model's", n=len(foreign), of=len(held)),
            N_("create the optimizer after the model has its final parameters"),
        )
        return
    if missing:
        yield Problem(
            "optimizer",
            N_("parameters are missing from the optimizer"),
            N_("{n} of {of} parameters", n=len(missing), of=len(trainable(s.model))),
            N_("add them to a group"),
            missing[0],
        )
    if twice:
        yield Problem(
            "optimizer",
            N_("parameters are twice in the optimizer"),
            N_("{n} parameters", n=len(twice)),
            N_("put each parameter into one group"),
            twice[0],
        )
    rates = [float(group.get("lr", 1.0)) for group in groups]
    if rates and max(rates) <= 0:
        yield Problem("optimizer", N_("the learning rate is zero"), 0.0, N_("set lr"))


def _gradients(s: Subject) -> dict[str, Tensor]:
    """Return copies of the gradients, without sparse ones: clipping leaves those out."""
    return {
        name: p.grad.detach().clone()
        for name, p in trainable(s.model).items()
        if p.grad is not None and not p.grad.is_sparse
    }


class _Steps:
    """The gradients that an optimizer sees, and the weights before its step."""

    def __init__(self, s: Subject) -> None:
        self.s, self.grads, self.n = s, dict[str, Tensor](), 0

    def __call__(self, *_: Any) -> None:
        self.n += 1
        self.grads = _gradients(self.s)


def _step(s: Subject) -> Iterator[Problem]:
    """Take two of the user's steps, and compare gradients and updates with what they should be."""
    if s.train_step is None:
        raise Skip(N_("no training step was given"))
    s.model.train()
    before = {name: p.detach().clone() for name, p in s.model.named_parameters()}
    steps = _Steps(s)
    handles = [optimizer.register_step_pre_hook(steps) for optimizer in s.optimizers]
    try:
        with FunctionProbe(keep=False, no_dropout=True):
            s.train_step(s.model, s.batch)
            after = {name: p.detach().clone() for name, p in s.model.named_parameters()}
            yield from _updates(s, before, after, rose=_rose(s, before, after))
            if handles:
                yield from _accumulation(s, steps)
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _rose(s: Subject, before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    """Return True if the loss of the batch is higher after a step than before; NaN is higher."""
    losses: list[float] = []
    for weights in (before, after):
        for name, p in s.model.named_parameters():
            p.copy_(weights[name])
        losses.append(float(s.loss(s.data)))
    return not losses[1] <= losses[0]


def _updates(
    s: Subject, before: dict[str, Tensor], after: dict[str, Tensor], rose: bool
) -> Iterator[Problem]:
    learning = trainable(s.model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    wrong = [name for name in moved if name not in learning]
    if wrong:
        yield Problem(
            "optimizer",
            N_("frozen parameters move"),
            N_("{n} parameters", n=len(wrong)),
            N_("leave them out of the optimizer"),
            wrong[0],
        )
    if not moved:
        yield Problem(
            "optimizer",
            N_("the step changes nothing"),
            0.0,
            N_("call optimizer.step() on the model's own parameters, with a learning rate above 0"),
        )
        return
    if any(not after[name].isfinite().all() for name in moved):
        yield Problem(
            "optimizer",
            N_("the step gives NaN"),
            N_("not finite"),
            N_("lower the learning rate; clip gradients"),
        )
        return
    ratios = {
        name: float((after[name] - before[name]).norm() / before[name].norm().clamp(min=1e-6))
        for name in moved
        if before[name].ndim == 2 and before[name].any() and "lora" not in name.lower()
    }
    worst = max(ratios, key=ratios.__getitem__, default=None)
    if worst is not None and ratios[worst] > (MAX_RATIO if rose else MOST):
        yield Problem(
            "optimizer",
            N_("the step is too large"),
            N_("one step changes a matrix by {ratio:.0%}", ratio=ratios[worst]),
            N_("lower the learning rate; 0.1 % is usual"),
            worst,
        )


def _accumulation(s: Subject, steps: _Steps) -> Iterator[Problem]:
    """Compare the gradient of the second step with the gradient of the loss at its weights."""
    assert s.train_step is not None
    if steps.n == 0:
        yield Problem(
            "optimizer",
            N_("the optimizer takes no step"),
            0.0,
            N_("call step() of the optimizer that holds the model's parameters"),
        )
        return
    first = steps.grads
    kept = {name: None if p.grad is None else p.grad.clone() for name, p in s.model.named_parameters()}
    weights = {name: p.detach().clone() for name, p in s.model.named_parameters()}
    for p in s.model.parameters():
        p.grad = None
    if s.loss_function is None:
        loss_of = s.loss(s.data)
        loss_of.backward()
    else:
        loss_gradient(s)
    own = _gradients(s)
    with torch.no_grad():
        for name, p in s.model.named_parameters():
            p.copy_(weights[name])
            p.grad = kept[name]
    s.train_step(s.model, s.batch)
    names = [name for name in own if name in steps.grads and name in first]
    if not names:
        return
    seen, mine, old = (torch.cat([g[n].flatten() for n in names]) for g in (steps.grads, own, first))
    similarity = float(torch.cosine_similarity(seen, mine, 0))
    factor = float(seen.norm() / mine.norm().clamp(min=1e-12))
    if similarity < 0.97:
        both = float(torch.cosine_similarity(seen, mine + old, 0))
        stale = both > similarity + 0.005
        yield Problem(
            "optimizer",
            N_("gradients are not zeroed") if stale else N_("the gradient is not that of the loss"),
            N_("cosine {value:.3f} with the gradient of the batch", value=similarity),
            N_("call zero_grad() before each backward pass")
            if stale
            else N_("look at what changes the gradient"),
        )
    elif factor > 1.3:
        yield Problem(
            "optimizer",
            N_("the gradient is a multiple of that of the mean loss"),
            N_("{factor:.3g} times as long", factor=factor),
            N_("divide the loss by the number of accumulation steps, and zero the gradient"),
        )


GROUPS = Check(N_("optimizer"), N_("each parameter once"), N_("others do not learn, or move twice"), _groups)
STEP = Check(
    N_("training step"),
    N_("follows the gradient of the mean loss"),
    N_("else it learns something else"),
    _step,
)

CHECKS = (GROUPS, STEP)
