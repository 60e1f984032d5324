"""Muon: orthogonalized momentum, for matrices. Source: Jordan et al. 2024."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of Muon's quintic iteration, steepest at 0; it drives all singular values towards 1.

Source: Jordan et al. 2024.
"""


def orthogonalize(G: Tensor, steps: int = 5) -> Tensor:
    """Return U Vᵀ of the SVD of each matrix, approximately.

    G: (N, rows, columns). All singular values come to lie within about [0.7, 1.2], which is close enough to
    1. Computes in bfloat16 on a GPU, else in float32.
    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    """
    a, b, c = COEFFICIENTS
    X = G.to(torch.bfloat16 if G.is_cuda else torch.float32)
    tall = X.shape[1] > X.shape[2]
    X = X.mT if tall else X  # (N, r, c) with r <= c: the Gram matrix below is the smaller one
    X = X / (X.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if X.dtype == torch.float32 and X.shape[2] >= 2 * X.shape[1]:
        X = _orthogonalize_by_gram(X, steps)
    else:
        for _ in range(steps):
            A = X @ X.mT  # (N, r, r)
            X = a * X + (b * A + c * A @ A) @ X
    return (X.mT if tall else X).to(G.dtype)  # (N, rows, columns)


def _orthogonalize_by_gram(X: Tensor, steps: int) -> Tensor:
    """Run the same iteration on the Gram matrix of wide X (N, r, c).

    The iteration is collected in a small matrix Q; returns Q X. If X becomes P X, then A = X Xᵀ becomes P A
    P, so the wide matrix is needed at both ends only. Not for bfloat16: there, small negative eigenvalues of
    A are rounding errors that grow with each step.
    """
    a, b, c = COEFFICIENTS
    eye = torch.eye(X.shape[1], dtype=X.dtype, device=X.device)
    A, Q = X @ X.mT, eye  # (N, r, r), (r, r)
    for i in range(steps):
        P = a * eye + b * A + c * A @ A  # (N, r, r)
        Q = P @ Q if i else P
        if i + 1 < steps:
            A = P @ A @ P
    return Q @ X


class Muon(Optimizer):
    """Orthogonalized momentum: every direction of a matrix moves at the same speed.

    Matrices of equal shape are orthogonalized together, as one batch.
    Source: Jordan et al. 2024.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault(p.shape, []).append(p)
            for shape, params in by_shape.items():
                self._step_batch(params, shape, group)

    def _step_batch(self, params: list[Tensor], shape: torch.Size, group: dict) -> None:
        directions = [self._momentum(p, group["momentum"]) for p in params]
        updates = orthogonalize(torch.stack(directions))  # (N, rows, columns)
        # A tall matrix maps few inputs to many outputs; the factor keeps the size of its outputs' change.
        lr = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
        for p, update in zip(params, updates, strict=True):
            p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=lr)

    def _momentum(self, p: Tensor, momentum: float) -> Tensor:
        """Return the gradient averaged over past steps, one step ahead (Nesterov)."""
        assert p.grad is not None
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
        average = state["momentum"].lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(average, momentum)
