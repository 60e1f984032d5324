"""Compare the weights before and after an optimizer step: which moved, how far, and whether downhill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from glassgpt.doctor.checks import Problem
from glassgpt.doctor.subject import Subject
from glassgpt.language import N_

MIN_RATIO = 2e-6
"""A smaller update of most matrices, relative to their size, is none."""
MAX_SHRINK, MIN_SIDE = 0.04, 16
"""Largest share of a matrix that a step may take away, for matrices of so many rows and columns."""
MAX_RATIO, MOST = 0.3, 3.0
"""Update relative to the weights of a matrix, per step: the first is too large if the loss rises, the other
always. Matrices that began at zero move far in healthy first steps."""


@torch.no_grad()
def _rose(s: Subject, before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    """Return True if the loss of the batch is higher after a step than before; NaN is higher."""
    losses: list[float] = []
    for weights in (before, after):
        for name, p in s.model.named_parameters():
            p.copy_(weights[name])
        losses.append(s.loss_value(s.data))
    return not losses[1] <= losses[0]


def updates(
    s: Subject, before: dict[str, Tensor], after: dict[str, Tensor], learning: Sequence[str]
) -> Iterator[Problem]:
    """Compare the weights before and after a step. learning: names of those that learned before it."""
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    yield from _frozen([name for name in moved if name not in learning])
    if not moved:
        yield Problem(
            "optimizer",
            N_("the step changes nothing"),
            0.0,
            N_("call optimizer.step() on the model's own parameters, with a learning rate above 0"),
        )
        return
    still = [name for name in learning if name not in moved and before[name].any()]
    yield from _still([name for name in still if not _is_rare(s, name, before[name])], len(learning))
    if any(not after[name].isfinite().all() for name in moved):
        yield Problem(
            "optimizer",
            N_("the step gives NaN"),
            N_("not finite"),
            N_("lower the learning rate; clip gradients"),
        )
        return
    yield from _size_of_updates(s, before, after, moved)


def _frozen(moved: Sequence[str]) -> Iterator[Problem]:
    """Name a frozen parameter that a step moves."""
    if moved:
        yield Problem(
            "optimizer",
            N_("frozen parameters move"),
            N_("{n} parameters", n=len(moved)),
            N_("leave them out of the optimizer"),
            moved[0],
        )


def _still(names: Sequence[str], n_learning: int) -> Iterator[Problem]:
    """Name a parameter that learns, and that a step does not move."""
    if names:
        yield Problem(
            "optimizer",
            N_("the step does not move a parameter"),
            N_("{n} of {of} parameters", n=len(names), of=n_learning),
            N_("give each parameter a gradient, a place in the optimizer and a rate above 0"),
            names[0],
        )


def _size_of_updates(
    s: Subject, before: dict[str, Tensor], after: dict[str, Tensor], moved: Iterable[str]
) -> Iterator[Problem]:
    """Compare the update of each matrix with its weights: norm over norm."""
    ratios = {
        name: float((after[name] - before[name]).norm() / before[name].norm().clamp(min=1e-6))
        for name in moved
        if before[name].ndim == 2 and before[name].any() and "lora" not in name.lower()
    }
    if not ratios:
        return
    worst = max(ratios, key=ratios.__getitem__)
    if ratios[worst] > (MAX_RATIO if _rose(s, before, after) else MOST):
        yield Problem(
            "optimizer",
            N_("the step is too large"),
            N_("one step changes a matrix by {ratio:.0%}", ratio=ratios[worst]),
            N_("lower the learning rate; 0.1 % is usual"),
            worst,
        )
    elif sorted(ratios.values())[len(ratios) // 2] < MIN_RATIO:
        yield Problem(
            "optimizer",
            N_("the step is too small"),
            N_("one step changes a matrix by {ratio:.1e} of its size", ratio=max(ratios.values())),
            N_("raise the learning rate, and look at eps, averages and the precision of the weights"),
        )


def _is_rare(s: Subject, name: str, weight: Tensor) -> bool:
    """True for a table whose rows a batch seldom reads, or for a bias that may have no effect."""
    return weight.ndim < 2 or len(weight) > max(s.n_vocab, s.data.tokens.shape[1]) or "lora" in name.lower()


def directions(
    before: dict[str, Tensor], after: dict[str, Tensor], grads: dict[str, Tensor]
) -> Iterator[Problem]:
    """Check that the step goes downhill, and how far it shrinks the weights."""
    names = [name for name in grads if not torch.equal(before[name], after[name])]
    slopes = {name: float(((after[name] - before[name]) * grads[name]).sum()) for name in names}
    if names and sum(slopes.values()) > 0 and all(slope > 0 for slope in slopes.values()):
        yield Problem(
            "optimizer",
            N_("the step goes uphill"),
            N_("it follows the gradient in {n} of {n} parameters", n=len(names)),
            N_("subtract the gradient: minimize the loss"),
        )
    shrunk = [
        float(-((after[name] - before[name]) * before[name]).sum() / before[name].square().sum())
        for name in names
        if before[name].ndim == 2 and before[name].any() and min(before[name].shape) >= MIN_SIDE
    ]
    if shrunk and sorted(shrunk)[len(shrunk) // 2] > MAX_SHRINK:
        yield Problem(
            "optimizer",
            N_("the step shrinks the weights"),
            N_("by {share:.1%} in a step", share=sorted(shrunk)[len(shrunk) // 2]),
            N_("lower `weight_decay`: rate times decay is the share of a step"),
        )
