"""Checks of the forward pass: finite, repeatable, the same in training and evaluation mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.differences import first_differing_module, moved
from glassgpt.doctor.layers import deviations, place
from glassgpt.doctor.model_parts import category_of
from glassgpt.doctor.operations import OperationProbe
from glassgpt.doctor.probes import FunctionProbe, first_tensor, module_paths, run_watched
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_


@torch.no_grad()
def _finite(s: Subject) -> Iterator[Problem]:
    if s.logits().isfinite().all():
        return
    for name, p in s.model.named_parameters():
        if not p.isfinite().all():
            yield Problem(
                "numerics",
                N_("a weight is not finite"),
                N_("{n} values", n=int((~p.isfinite()).sum())),
                N_("go back to an earlier checkpoint and lower the learning rate"),
                name,
            )
            return
    modules = {path: m for path, m in s.model.named_modules() if path}
    operations = OperationProbe()
    with operations, module_paths(s.model, operations):
        s.logits()
    for path, given, output in run_watched(s.model, modules, s.logits):
        if output is not None and output.is_floating_point() and not output.isfinite().all():
            if given is None or not given.is_floating_point() or given.isfinite().all():
                yield Problem(
                    "numerics",
                    N_("the first values that are not finite come from here"),
                    N_("NaN or infinity from finite inputs, first in {name}", name=operations.first or "?"),
                    N_("look for a division by zero, an overflow or an empty row of a mask"),
                    path,
                )
                return
    yield Problem(
        "numerics",
        N_("logits are not finite"),
        N_("NaN or infinity, first in {name}", name=operations.first or "?"),
        N_("look for an empty row of a mask"),
        operations.where,
    )


def _finite_gradients(s: Subject) -> Iterator[Problem]:
    """Follow the gradient backwards to the first module that makes it infinite."""
    s.model.train()
    s.model.zero_grad(set_to_none=True)
    passed: list[tuple[Tensor, str, bool]] = []  # backwards: an output, its module, if its gradient is finite

    def watch(path: str) -> Callable[..., None]:
        def hook(_: Any, given: Any, output: Any) -> None:
            value = first_tensor(output)
            if value is not None and value.requires_grad:
                value.register_hook(lambda grad: passed.append((value, path, _is_finite(grad))))

        return hook

    handles = [m.register_forward_hook(watch(path)) for path, m in s.model.named_modules() if path]
    try:
        with torch.enable_grad(), FunctionProbe(keep=False, no_dropout=True):
            s.loss().backward()
    finally:
        for handle in handles:
            handle.remove()
    bad = [name for name, p in s.model.named_parameters() if p.grad is not None and not _is_finite(p.grad)]
    if bad:
        yield Problem(
            "numerics",
            N_("a gradient is not finite"),
            N_("{n} parameters, of a finite loss", n=len(bad)),
            N_("look for the root, the logarithm or the norm of zero, and for infinities that a mask hides"),
            _last_finite(passed) or bad[-1],
        )


def _last_finite(passed: list[tuple[Tensor, str, bool]]) -> str:
    """Return the module whose own backward pass breaks: its output's gradient is finite, the next is not."""
    first = next((i for i, (_, _, finite) in enumerate(passed) if not finite), 0)
    if not first:
        return ""
    last = passed[first - 1][0]  # the output of several modules, if one ends with another
    return next(path for value, path, _ in passed if value is last)


def _is_finite(grad: Tensor) -> bool:
    """True if every value of a gradient, sparse or not, is finite."""
    return bool((grad.coalesce().values() if grad.is_sparse else grad).isfinite().all())


@torch.no_grad()
def _determinism(s: Subject) -> Iterator[Problem]:
    a, b = s.logits(), s.logits()
    if not moved(a, b, 1e-6):
        return
    culprit = first_differing_module(s, s.tokens, s.tokens, lambda x: x)
    probe = FunctionProbe()
    with probe, module_paths(s.model, probe):
        s.logits()
    if early := [call.path for call in probe.calls if call.dropout_on_scores]:
        yield Problem(
            "attention scores",
            N_("dropout before the softmax"),
            N_("it is active in evaluation mode, too"),
            N_("apply dropout to the weights, after the softmax, while training"),
            early[0],
        )
        return
    if probe.dropouts:
        yield Problem(
            "dropout",
            N_("dropout is active in evaluation mode"),
            N_("dropout {p}", p=probe.dropouts[0][1]),
            N_("give dropout the module's `training` flag"),
            culprit,
        )
        return
    noisy = deviations(s)
    yield Problem(
        place(noisy, s.parts) if noisy else category_of(culprit),
        N_("noise is added"),
        N_("two equal passes differ by {d:.2g}", d=float((a - b).abs().max())),
        N_("remove the noise from evaluation mode"),
        culprit,
    )


@torch.no_grad()
def _modes(s: Subject) -> Iterator[Problem]:
    expected = s.logits()
    s.model.train()
    with FunctionProbe(keep=False, no_dropout=True):
        observed = s.logits()
        again = s.logits()
    if moved(observed, again, 1e-6):
        yield Problem(
            "dropout",
            N_("random besides dropout"),
            N_("two passes without dropout differ by {d:.2g}", d=float((observed - again).abs().max())),
            N_("use torch's dropout, after the softmax"),
        )
    elif moved(expected, observed):
        yield Problem(
            "residual",
            N_("training and evaluation compute different things"),
            N_("logits differ by {d:.2g}", d=float((expected - observed).abs().max())),
            N_("let only dropout depend on `training`"),
        )


@torch.no_grad()
def _dropouts(s: Subject) -> Iterator[Problem]:
    stated = s.stated_dropouts
    s.model.train()
    probe = FunctionProbe()
    with probe, module_paths(s.model, probe):
        s.logits()
    for call in probe.calls:
        if call.dropout_on_scores:
            yield Problem(
                "attention scores",
                N_("dropout before the softmax"),
                N_("scores are dropped, not weights"),
                N_("apply dropout to the weights, after the softmax"),
                call.path,
            )
            return
    if not stated:
        raise Skip(N_("the configuration states no dropout"))
    wrong = [(path, p) for path, p, _ in probe.dropouts if all(abs(p - each) > 1e-6 for each in stated)]
    if wrong:
        yield Problem(
            "dropout",
            N_("dropout is not the stated one"),
            N_("{p} is used, {stated} is stated", p=wrong[0][1], stated=sorted(stated)),
            N_("use the dropout of the configuration"),
            wrong[0][0],
        )


FINITE = Check(
    N_("finite values"),
    N_("every value is finite"),
    N_("one NaN spreads to every weight in one step"),
    _finite,
)
DETERMINISM = Check(
    N_("repeated pass"), N_("equal logits"), N_("evaluation mode has no chance in it"), _determinism
)
MODES = Check(
    N_("training and evaluation"),
    N_("equal logits apart from dropout"),
    N_("the model is used in evaluation mode"),
    _modes,
)
DROPOUT = Check(
    N_("dropout"),
    N_("as stated, and after the softmax"),
    N_("other places and rates train another model"),
    _dropouts,
)

FINITE_GRADIENTS = Check(
    N_("finite gradients"),
    N_("every gradient is finite"),
    N_("one NaN spreads to every weight in one step"),
    _finite_gradients,
)

CHECKS = (FINITE, DETERMINISM, MODES, DROPOUT, FINITE_GRADIENTS)
