"""SparseRMSprop: an optimizer for embedding tables with sparse gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer


class SparseRMSprop(Optimizer):
    """RMSprop for embedding tables: updates only the rows that have a gradient.

    It is Adam without momentum. A rare row moves by its whole rate each time; with momentum it would move by
    a tenth of it, and the rest would never follow. Gradients are sparse over rows. The size of a gradient
    cancels out, so clipping is not needed.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, beta2: float = 0.99, eps: float = 1e-10) -> None:
        super().__init__(params, dict(lr=lr, beta2=beta2, eps=eps))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update every row that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._step_rows(p, group)

    def _step_rows(self, p: Tensor, group: dict) -> None:
        assert p.grad is not None
        state, gradient = self.state[p], p.grad.coalesce()
        if not state:
            state["exp_avg_sq"], state["step"] = torch.zeros_like(p), torch.zeros(())
        state["step"] += 1
        rows, g = gradient.indices()[0], gradient.values()  # (R,), (R, width)
        square = state["exp_avg_sq"][rows].lerp_(g * g, 1 - group["beta2"])
        state["exp_avg_sq"].index_copy_(0, rows, square)
        unbiased = square / (1 - group["beta2"] ** float(state["step"]))
        p.index_add_(0, rows, g / (unbiased.sqrt_() + group["eps"]), alpha=-group["lr"])
