"""Checks of the optimizer: its parameters, its gradients, and the size of its steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.probes import FunctionProbe
from glassgpt.doctor.processes import several_processes
from glassgpt.doctor.short_training import trainable
from glassgpt.doctor.subject import Skip, Subject, as_batch, mapped
from glassgpt.doctor.updates import directions, updates
from glassgpt.language import N_

TAKEN_BACK = 0.1
"""Share of an optimizer's step that must be left at the end of the training step."""
MIN_SIMILARITY = 0.5
"""Cosine of a matrix's gradient with that of the loss, at least."""


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
    yield from _settings(groups)


def _settings(groups: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Look at betas and rates of the optimizer's groups."""
    if any(len(betas := group.get("betas", ())) == 2 and betas[0] > betas[1] for group in groups):
        yield Problem(
            "optimizer",
            N_("the averages are exchanged"),
            N_("betas {betas}", betas=next(group["betas"] for group in groups if "betas" in group)),
            N_("average gradients over fewer steps than their squares, as with (0.9, 0.99)"),
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


class _StepRecorder:
    """The gradients that an optimizer sees, the weights after its steps, and the modes of the passes."""

    def __init__(self, s: Subject) -> None:
        self.s, self.grads, self.weights = s, dict[str, Tensor](), dict[str, Tensor]()
        self.counts, self.modes = Counter[int](), set[bool]()

    @property
    def n(self) -> int:
        """Steps of all optimizers."""
        return sum(self.counts.values())

    def before(self, optimizer: Any, *_: Any) -> None:
        self.counts[id(optimizer)] += 1
        self.grads = _gradients(self.s)

    def after(self, *_: Any) -> None:
        self.weights = {name: p.detach().clone() for name, p in trainable(self.s.model).items()}

    def passed(self, *_: Any) -> None:
        self.modes.add(self.s.model.training)

    def watch(self) -> list[RemovableHandle]:
        """Follow all optimizers and the model."""
        handles = [self.s.model.register_forward_pre_hook(self.passed)]
        for optimizer in self.s.optimizers:
            handles.append(optimizer.register_step_pre_hook(self.before))
            handles.append(optimizer.register_step_post_hook(self.after))
        return handles


def _step(s: Subject) -> Iterator[Problem]:
    """Take two of the user's steps, and compare gradients and updates with what they should be."""
    if s.train_step is None:
        raise Skip(N_("no training step was given"))
    s.model.train()
    learning = list(trainable(s.model))
    before = {name: p.detach().clone() for name, p in s.model.named_parameters()}
    steps = _StepRecorder(s)
    handles = steps.watch()
    try:
        with FunctionProbe(keep=False, no_dropout=True):
            s.train_step(s.model, s.batch)
            after = {name: p.detach().clone() for name, p in s.model.named_parameters()}
            yield from _steps_and_mode(s, steps, before, after)
            yield from updates(s, before, after, learning)
            yield from directions(before, after, steps.grads)
            if s.optimizers and not several_processes():
                yield from _accumulation(s, steps)
    finally:
        for handle in handles:
            handle.remove()


def _steps_and_mode(
    s: Subject, steps: _StepRecorder, before: dict[str, Tensor], after: dict[str, Tensor]
) -> Iterator[Problem]:
    """Check the number of steps and the mode, and that the weights stay as the optimizer leaves them."""
    if max(steps.counts.values(), default=0) > 1:
        yield Problem(
            "optimizer",
            N_("several steps are taken in one"),
            N_("{n} steps of one optimizer", n=max(steps.counts.values())),
            N_("call step() once, after the gradients of all parts have been added"),
        )
    if steps.modes == {False} and any(isinstance(p, float) and p > 0 for p in s.stated_dropouts):
        yield Problem(
            "dropout",
            N_("training runs in evaluation mode"),
            N_("dropout is stated, and is off"),
            N_("call model.train() before the steps, and again after each evaluation"),
        )
    moved = sum(float((steps.weights[name] - before[name]).square().sum()) for name in steps.weights)
    kept = sum(float((after[name] - before[name]).square().sum()) for name in steps.weights)
    if 0 < kept < TAKEN_BACK**2 * moved:
        yield Problem(
            "optimizer",
            N_("the step is taken back"),
            N_("{share:.1%} of it is left", share=(kept / moved) ** 0.5),
            N_("keep averages of the weights apart from the weights that learn"),
        )


def _accumulation(s: Subject, steps: _StepRecorder) -> Iterator[Problem]:
    """Take a step on another batch, and compare its gradient with that of the loss at these weights."""
    assert s.train_step is not None
    if steps.n == 0:
        yield Problem(
            "optimizer",
            N_("the optimizer takes no step"),
            0.0,
            N_("call step() of the optimizer that holds the model's parameters"),
        )
        return
    first, other = steps.grads, mapped(s.batch, _rolled)
    own, of_part = _own_gradients(s, other), _own_gradients(s, mapped(other, lambda t: t[:1]))
    s.train_step(s.model, other)
    names = [name for name in own if name in steps.grads and name in first and name in of_part]
    if not names:
        return
    seen, mine, old, part = (_joined(each, names) for each in (steps.grads, own, first, of_part))
    similarity = _cosine(seen, mine)
    if similarity < 0.97:
        stale = max(_cosine(seen, mine + old), _cosine(seen, mine + old * _size(mine) / _size(old)))
        if stale > max(similarity + 0.02, 0.9):
            cause, advice = N_("gradients are not zeroed"), N_("call zero_grad() before each backward pass")
        elif len(s.data.tokens) > 1 and _cosine(seen, part) > max(similarity + 0.02, 0.97):
            cause, advice = N_("the step uses a part of the batch"), N_("take the loss of every row")
        else:
            cause = N_("the gradient is not that of the loss")
            advice = N_("look at what changes the gradient")
        said = N_("cosine {value:.3f} with the gradient of the batch", value=similarity)
        yield Problem("optimizer", cause, said, advice)
        return
    yield from _each_gradient(steps.grads, own)
    factor = _size(seen) / max(_size(mine), 1e-12)
    if factor > 1.3:
        yield Problem(
            "optimizer",
            N_("the gradient is a multiple of that of the mean loss"),
            N_("{factor:.3g} times as long", factor=factor),
            N_("divide the loss by the number of accumulation steps, and zero the gradient"),
        )


def _each_gradient(seen: dict[str, Tensor], own: dict[str, Tensor]) -> Iterator[Problem]:
    """Compare the gradients matrix by matrix."""
    longest = max(map(_size, own.values()))
    for name, mine in own.items():
        if name not in seen or mine.ndim < 2 or _size(mine) < 1e-2 * longest:
            continue
        similarity = _cosine(seen[name], mine)
        if similarity < MIN_SIMILARITY:
            yield Problem(
                "optimizer",
                N_("the gradient is not that of the loss"),
                N_("cosine {value:.3f} with the gradient of the batch", value=similarity),
                N_("look at what changes the gradient"),
                name,
            )
            return


def _own_gradients(s: Subject, batch: Any) -> dict[str, Tensor]:
    """Return the gradient of the user's loss at the weights of now; the model's own ones stay."""
    kept = {name: p.grad for name, p in s.model.named_parameters()}
    for p in s.model.parameters():
        p.grad = None
    with torch.enable_grad():
        loss = s.loss(as_batch(batch)) if s.loss_function is None else s.loss_function(s.model, batch)
    loss.backward()
    own = _gradients(s)
    for name, p in s.model.named_parameters():
        p.grad = kept[name]
    return own


def _rolled(tensor: Tensor) -> Tensor:
    """Return another batch of the same kind: each row begins later, with its beginning at the end."""
    return tensor.roll(-max(1, tensor.shape[1] // 3), 1) if tensor.ndim == 2 else tensor


def _joined(grads: dict[str, Tensor], names: Sequence[str]) -> Tensor:
    return torch.cat([grads[name].flatten().float() for name in names])


def _cosine(a: Tensor, b: Tensor) -> float:
    return float(torch.cosine_similarity(a.flatten().float(), b.flatten().float(), 0))


def _size(tensor: Tensor) -> float:
    return float(tensor.norm())


GROUPS = Check(N_("optimizer"), N_("each parameter once"), N_("others do not learn, or move twice"), _groups)
STEP = Check(
    N_("training step"),
    N_("follows the gradient of the mean loss"),
    N_("else it learns something else"),
    _step,
)

CHECKS = (GROUPS, STEP)
