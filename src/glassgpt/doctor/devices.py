"""Check of the device: float32 on the CPU gives the logits of this device, precision and compilation."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from glassgpt.device import autocast, choose_dtype
from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.model_parts import category_of
from glassgpt.doctor.probes import run_watched
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

TOLERANCES = {torch.float32: 0.01, torch.bfloat16: 0.15, torch.float16: 0.05}
"""Largest root mean square of the difference, relative to the spread of the logits."""


@torch.no_grad()
def _reference(s: Subject) -> Iterator[Problem]:
    """Compute the logits in float32 on the CPU, without a compiled graph, and compare."""
    original = getattr(s.model, "_orig_mod", s.model)  # of torch.compile
    is_compiled = original is not s.model or getattr(s.model, "_compiled_call_impl", None) is not None
    device = next((p.device for p in s.model.parameters()), torch.device("cpu"))
    dtype = _dtype(s, device)
    if device.type == "cpu" and dtype == torch.float32 and not is_compiled:
        raise Skip(N_("the model runs in float32 on the CPU, and is not compiled"))
    with autocast(device, dtype):
        given = s.logits()
    plain = copy.deepcopy(original).float().cpu()
    expected = _plain(s, plain)
    difference = _distance(given.float().cpu(), expected)
    if not difference > TOLERANCES.get(dtype, 0.05):
        return
    where = _first(s, original, plain, device, dtype)
    yield Problem(
        category_of(where) if where else "numerics",
        N_("the logits are not those of float32 on the CPU"),
        N_(
            "{share:.1%} apart on {device} in {dtype}",
            share=difference,
            device=device.type,
            dtype=str(dtype).removeprefix("torch."),
        ),
        N_("compute norms, softmax and loss in float32, and compare the kernels of this device"),
        where,
    )


def _dtype(s: Subject, device: torch.device) -> torch.dtype:
    """Return the precision of a pass: that of the weights, or of the run's autocast."""
    weights = next((p.dtype for p in s.model.parameters()), torch.float32)
    return choose_dtype(s.dtype, device) if s.dtype and weights == torch.float32 else weights


def _plain(s: Subject, model: nn.Module) -> Tensor:
    """Return the logits of a copy of the model on the CPU."""
    cpu = Subject(model, s.small.to(torch.device("cpu")), causal=s.causal)
    cpu.with_targets = s.with_targets
    return cpu.logits(cpu.data.tokens, cpu.data).float()


def _distance(a: Tensor, b: Tensor) -> float:
    """Return the root mean square of a difference, relative to the spread of `b`; infinity for NaN."""
    share = float((a - b).square().mean().sqrt() / b.std().clamp(min=1e-6))
    return share if share == share else float("inf")


def _first(s: Subject, one: nn.Module, other: nn.Module, device: torch.device, dtype: torch.dtype) -> str:
    """Return the path of the first module whose output is further away than rounding."""

    def run() -> None:
        with autocast(device, dtype):
            s.logits()

    limit = TOLERANCES.get(dtype, 0.05)
    given = run_watched(one, {path: m for path, m in one.named_modules() if path}, run)
    expected = run_watched(
        other, {path: m for path, m in other.named_modules() if path}, lambda: _plain(s, other)
    )
    outputs = {path: y for path, _, y in expected if y is not None}
    for path, _, y in given:
        right = outputs.get(path)
        if y is None or right is None or y.shape != right.shape or not y.is_floating_point():
            continue
        if _distance(y.float().cpu(), right.float()) > limit:
            return path
    return ""


REFERENCE = Check(
    N_("device and precision"),
    N_("as float32 on the CPU"),
    N_("a faster way to the same numbers"),
    _reference,
)
CHECKS = (REFERENCE,)
