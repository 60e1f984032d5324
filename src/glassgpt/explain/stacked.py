"""Models of one architecture as one module: each layer holds the weights of all, and one pass computes all.

S is the number of models. Row s · B + b of a batch belongs to model s. The optimizer is that of
`glassgpt.train` in plain torch: the first use of `torch.optim` loads torch's compiler, which takes longer
than a small model learns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.nn import Block
from glassgpt.train import orthogonalize

BETA_1, BETA_2, EPS, MOMENTUM = 0.9, 0.99, 1e-8, 0.95


class StackedLinear(nn.Module):
    """Linear layers of S models."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = _stacked(layer.weight for layer in layers)  # (S, out, in)
        biases = [layer.bias for layer in layers if layer.bias is not None]
        self.bias = _stacked(biases) if biases else None  # (S, out)

    def forward(self, x: Tensor) -> Tensor:
        """(S · B, …, in) -> (S · B, …, out)."""
        rows = x.reshape(len(self.weight), -1, x.shape[-1])  # (S, B · …, in)
        if self.bias is None:
            y = rows @ self.weight.mT
        else:
            y = torch.baddbmm(self.bias[:, None], rows, self.weight.mT)  # (S, B · …, out)
        return y.view(*x.shape[:-1], -1)


class StackedEmbedding(nn.Module):
    """Embedding tables of S models."""

    def __init__(self, layers: Sequence[nn.Embedding]) -> None:
        super().__init__()
        self.weight = _stacked(layer.weight for layer in layers)  # (S, V, C)

    def forward(self, ids: Tensor) -> Tensor:
        """(S · B, T) -> (S · B, T, C)."""
        S, V, _ = self.weight.shape
        rows = ids.reshape(S, -1) + V * torch.arange(S)[:, None]  # the table of model s begins at row s · V
        return F.embedding(rows, self.weight.flatten(0, 1)).view(*ids.shape, -1)


class StackedLayerNorm(nn.Module):
    """Layer norms of S models."""

    def __init__(self, layers: Sequence[nn.LayerNorm]) -> None:
        super().__init__()
        self.eps = layers[0].eps
        self.weight = _stacked(layer.weight for layer in layers)  # (S, C)
        self.bias = _stacked(layer.bias for layer in layers)  # (S, C)

    def forward(self, x: Tensor) -> Tensor:
        """(S · B, T, C) -> (S · B, T, C)."""
        S, C = self.weight.shape
        normed = F.layer_norm(x, (C,), eps=self.eps).reshape(S, -1, C)
        return torch.addcmul(self.bias[:, None], normed, self.weight[:, None]).view_as(x)


STACKED: dict[type, Callable[[Any], nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.Embedding: StackedEmbedding,
    nn.LayerNorm: StackedLayerNorm,
}
"""Layers with weights."""


def stack(models: Sequence[nn.Module]) -> nn.Module:
    """Return one module for all models: (S · B, T) -> (S · B, T, V)."""
    stacked = deepcopy(models[0])
    for name, layer in models[0].named_modules():
        if type(layer) in STACKED:
            layers = [model.get_submodule(name) for model in models]
            stacked.set_submodule(name, STACKED[type(layer)](layers))
    return stacked


class StackedOptimizer:
    """Muon for the matrices of blocks and AdamW for the rest, as `make_optimizers` chooses them."""

    def __init__(self, model: nn.Module, lr: float, muon_lr: float, weight_decay: float) -> None:
        self.lr, self.muon_lr, self.weight_decay = lr, muon_lr, weight_decay
        matrices = _matrices(model)
        in_blocks = [p for block in model.modules() if isinstance(block, Block) for p in _matrices(block)]
        self.muon = {p: torch.zeros_like(p) for p in in_blocks}
        rest = [p for p in model.parameters() if p not in self.muon]
        self.adam = {p: (torch.zeros_like(p), torch.zeros_like(p)) for p in rest}
        self.decayed = {p for p in rest if p in set(matrices)}
        self.step_number = 0

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """Update every parameter that has a gradient, at `scale` times the rates, and drop the gradient."""
        self.step_number += 1
        self._step_muon(self.muon_lr * scale)
        self._step_adam(self.lr * scale)

    def _step_muon(self, lr: float) -> None:
        """Source: Jordan et al. 2024. Matrices of equal shape are one batch."""
        by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
        for p, average in self.muon.items():
            if p.grad is not None:
                average.lerp_(p.grad, 1 - MOMENTUM)
                by_shape.setdefault(p.shape, []).append((p, p.grad.lerp(average, MOMENTUM)))
                p.grad = None
        for (S, n_rows, n_columns), each in by_shape.items():
            updates = orthogonalize(torch.cat([direction for _, direction in each])).split(S)
            for (p, _), update in zip(each, updates, strict=True):
                p.mul_(1 - lr * self.weight_decay).sub_(
                    update, alpha=lr * max(1.0, n_rows / n_columns) ** 0.5
                )

    def _step_adam(self, lr: float) -> None:
        """Source: Loshchilov and Hutter 2019."""
        n = self.step_number
        root = math.sqrt(1 - BETA_2**n)
        for p, (average, square) in self.adam.items():
            if (gradient := p.grad) is None:
                continue
            average.lerp_(gradient, 1 - BETA_1)
            square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
            if p in self.decayed:
                p.mul_(1 - lr * self.weight_decay)
            p.addcdiv_(average, (square.sqrt() / root).add_(EPS), value=-lr / (1 - BETA_1**n))
            p.grad = None


def _stacked(weights: Iterable[Tensor]) -> nn.Parameter:
    return nn.Parameter(torch.stack([weight.detach() for weight in weights]))


def _matrices(module: nn.Module) -> list[Tensor]:
    return [part.weight for part in module.modules() if isinstance(part, StackedLinear)]
