"""Optimizers: Muon for the blocks' matrices, SparseRMSprop for n-gram tables, AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from glassgpt.config import OptimConfig
from glassgpt.nn import Block, NgramEmbedding

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic whose iteration pushes all singular values towards 1, steepest at 0 (Jordan et al. 2024)."""


def orthogonalize(G: Tensor, steps: int = 5) -> Tensor:
    """Each matrix of G (N, rows, columns) with its singular values brought near 1: roughly U Vᵀ of its SVD.

    The result lies within about [0.7, 1.2] of orthogonal, which is enough. bfloat16 on a GPU, else float32.
    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    """
    a, b, c = COEFFICIENTS
    X = G.to(torch.bfloat16 if G.is_cuda else torch.float32)
    tall = X.shape[1] > X.shape[2]
    X = X.mT if tall else X  # the Gram matrix below is the smaller one
    X = X / (X.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if X.dtype == torch.float32 and X.shape[2] >= 2 * X.shape[1]:
        X = _on_the_gram_matrix(X, steps)
    else:
        for _ in range(steps):
            A = X @ X.mT  # (N, rows, rows)
            X = a * X + (b * A + c * A @ A) @ X
    return (X.mT if tall else X).to(G.dtype)


def _on_the_gram_matrix(X: Tensor, steps: int) -> Tensor:
    """The same iteration for wide X (N, rows, columns), gathered in a small matrix Q until the end: Q X.

    If X becomes P X, then A = X Xᵀ becomes P A P: the wide matrix is needed at both ends only. Not in
    bfloat16, where small negative eigenvalues of A, which are rounding, grow with each step.
    """
    a, b, c = COEFFICIENTS
    eye = torch.eye(X.shape[1], dtype=X.dtype, device=X.device)
    A, Q = X @ X.mT, eye  # (N, rows, rows)
    for i in range(steps):
        P = a * eye + b * A + c * A @ A
        Q = P @ Q if i else P
        if i + 1 < steps:
            A = P @ A @ P
    return Q @ X


class Muon(Optimizer):
    """Momentum, orthogonalized: every direction of a matrix moves at the same speed.

    Matrices of equal shape go through the iteration together, as one batch.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every weight that has a gradient."""
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
        """The gradient averaged over past steps, one step ahead (Nesterov)."""
        assert p.grad is not None
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
        average = state["momentum"].lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(average, momentum)


class SparseRMSprop(Optimizer):
    """Adam without momentum, for the rows of a table that a batch has touched; the others wait.

    A row that is seldom seen then moves by its whole rate each time: with momentum it would move by a tenth
    at once, and the rest never. Gradients are sparse over rows.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, beta2: float = 0.99, eps: float = 1e-10) -> None:
        super().__init__(params, dict(lr=lr, beta2=beta2, eps=eps))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every row that has a gradient."""
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


def make_optimizers(model: nn.Module, config: OptimConfig) -> dict[str, Optimizer]:
    """The optimizers of a run by name. Each group remembers its peak rate as `peak_lr`.

    Matrices of linear layers decay: norms, biases and embeddings' rows have no direction in which smaller is
    simpler. Those inside the blocks are Muon's, where it is used.
    """
    in_blocks = [p for block in model.modules() if isinstance(block, Block) for p in _matrices(block)]
    for_muon = set(in_blocks) if config.optimizer == "muon" else set()
    tables = [part.table.weight for part in model.modules() if isinstance(part, NgramEmbedding)]
    tables = [table for table in tables if table.requires_grad]
    embeddings = {part.weight for part in model.modules() if isinstance(part, nn.Embedding)}
    decays = [p for p in _matrices(model) if p not in for_muon | embeddings]
    others = [p for p in model.parameters() if p.requires_grad and p not in {*for_muon, *decays, *tables}]
    optimizers: dict[str, Optimizer] = {
        "adamw": AdamW(
            [
                g
                for g in (dict(params=decays, weight_decay=config.weight_decay), dict(params=others))
                if g["params"]
            ],
            lr=config.peak_lr,
            betas=(config.beta1, config.beta2),
            weight_decay=0.0,
            fused=True,
        )
    }
    if for_muon:
        optimizers["muon"] = Muon(in_blocks, lr=config.muon_lr, weight_decay=config.weight_decay)
    if tables:
        optimizers["sparse_rmsprop"] = SparseRMSprop(tables, lr=config.ngram_lr, beta2=config.beta2)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def _matrices(module: nn.Module) -> list[Tensor]:
    """The matrices of all linear layers in a module, in order, each once."""
    found = [part.weight for part in module.modules() if isinstance(part, nn.Linear)]
    return list(dict.fromkeys(weight for weight in found if weight.requires_grad))


def set_lr(optimizers: dict[str, Optimizer], scale: float) -> None:
    """Set every group's rate to a share of its peak."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * scale


def state_tensors(optimizers: dict[str, Optimizer], model: nn.Module) -> dict[str, Tensor]:
    """All state as tensors named optimizer/parameter/key, which is how a checkpoint keeps it."""
    return {
        f"{kind}/{name}/{key}": value
        for kind, optimizer in optimizers.items()
        for name, p in model.named_parameters()
        for key, value in optimizer.state.get(p, {}).items()
    }


def load_state_tensors(
    optimizers: dict[str, Optimizer], model: nn.Module, tensors: dict[str, Tensor]
) -> None:
    """Put back what `state_tensors` took out."""
    params = dict(model.named_parameters())
    for path, value in tensors.items():
        kind, name, key = path.split("/")
        p = params[name]
        optimizers[kind].state[p][key] = value.to(p.device)
