"""Gradient clipping by the total norm, for dense and sparse gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def clip_gradients(params: Iterable[Tensor], limit: float) -> float:
    """Clip the total norm of gradients in place; return the norm before.

    limit: the largest norm. A limit of 0 means no clipping. Sparse gradients count in the norm but keep their
    size: the optimizer of sparse rows divides by it.
    """
    values, scaled = [], []
    for p in params:
        if p.grad is not None and p.grad.is_sparse:
            p.grad = p.grad.coalesce()
            values.append(p.grad.values())
        elif p.grad is not None:
            values.append(p.grad)
            scaled.append(p)
    foreach = True if values[0].device.type in ("cpu", "cuda") else None  # mps has no such kernels
    norm = torch.nn.utils.get_total_norm(values, foreach=foreach)
    if limit and norm > limit:  # most steps need no scaling, and a pass over all gradients is not free
        torch.nn.utils.clip_grads_with_norm_(scaled, limit, norm, foreach=foreach)
    return norm.item()
