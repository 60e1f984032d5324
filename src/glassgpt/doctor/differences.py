"""Compare two forward passes: the largest difference, and the first module whose output differs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from glassgpt.doctor.probes import first_difference, run_watched
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

TOLERANCE = 2e-3
"""Largest change of a logit, relative to the spread of the logits, that counts as rounding."""


def moved(a: Tensor, b: Tensor, tolerance: float = TOLERANCE) -> bool:
    """True if two tensors differ by more than rounding."""
    spread = float(a.float().std()) if a.numel() > 1 else 1.0
    return bool((a.float() - b.float()).abs().max() > tolerance * max(spread, 1e-6))


def max_difference(a: Tensor, b: Tensor) -> float:
    """Return the largest absolute difference of two tensors."""
    return float((a.float() - b.float()).abs().max())


def other_tokens(s: Subject, tokens: Tensor) -> Tensor:
    """Return different tokens, which the batch contains too."""
    seen = s.data.tokens[s.data.tokens >= 0].unique()
    if len(seen) < 2:
        raise Skip(N_("the batch has one token only"))
    at = torch.searchsorted(seen, tokens.clamp(min=0)).clamp(max=len(seen) - 1)
    return seen[(at + 1 + len(seen) // 3) % len(seen)].where(tokens >= 0, tokens)


def first_differing_module(s: Subject, one: Tensor, other: Tensor, part: Callable[[Tensor], Tensor]) -> str:
    """Return the path of the first module whose output differs where it must not."""
    modules = {path: m for path, m in s.model.named_modules() if path}
    first, second = (run_watched(s.model, modules, lambda t=t: s.logits(t)) for t in (one, other))
    B, T = one.shape

    def differs(a: Tensor, b: Tensor) -> bool:
        if a.ndim < 2 or a.shape[:2] != (B, T) or not a.is_floating_point():
            return False
        return moved(part(a), part(b), 1e-3)

    return first_difference(first, second, differs) or ""
