"""Optimizers and their registry.

Muon is for matrices, SparseRMSprop for n-gram tables, AdamW for the rest.

To add one: give it an entry in OPTIMIZERS, and a name or a rate in `OptimConfig`. The learning rate schedule
is schedule.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from glassgpt.config import OptimConfig
from glassgpt.errors import UserError
from glassgpt.nn import Block, NgramEmbedding
from glassgpt.safe_io import quoted

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


class OptimizerSpec(NamedTuple):
    """One optimizer: the parameters it takes, and how it is made from them."""

    name: str
    """Name in checkpoints and in `StepDone.lrs`."""
    rate: str
    """Key of its peak learning rate in `OptimConfig.peak_lrs`."""
    select: Callable[[nn.Module, OptimConfig], list[Tensor]]
    """Return the parameters it wants; those of an earlier entry are left out."""
    make: Callable[[list[Tensor], nn.Module, OptimConfig, float], Optimizer]
    """Make it for these parameters of a model, with this peak rate."""
    state: frozenset[str] = frozenset()
    """Keys of the state that it keeps for a parameter, each a number or of the parameter's shape."""


def _muon_params(model: nn.Module, config: OptimConfig) -> list[Tensor]:
    if config.optimizer != "muon":
        return []
    return [p for block in model.modules() if isinstance(block, Block) for p in _matrices(block)]


def _make_muon(params: list[Tensor], model: nn.Module, config: OptimConfig, lr: float) -> Optimizer:
    return Muon(params, lr=lr, weight_decay=config.weight_decay)


def _ngram_tables(model: nn.Module, config: OptimConfig) -> list[Tensor]:
    tables = [part.table.weight for part in model.modules() if isinstance(part, NgramEmbedding)]
    return [table for table in tables if table.requires_grad]


def _make_sparse_rmsprop(params: list[Tensor], model: nn.Module, config: OptimConfig, lr: float) -> Optimizer:
    return SparseRMSprop(params, lr=lr, beta2=config.beta2)


def _trained(model: nn.Module, config: OptimConfig) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad]


def _make_adamw(params: list[Tensor], model: nn.Module, config: OptimConfig, lr: float) -> Optimizer:
    """Make AdamW with weight decay for matrices of linear layers only.

    Norms, biases and embedding rows have no direction in which smaller is simpler.
    """
    embeddings = {part.weight for part in model.modules() if isinstance(part, nn.Embedding)}
    may_decay = set(params) - embeddings
    decayed = dict.fromkeys(p for p in _matrices(model) if p in may_decay)
    others = [p for p in params if p not in decayed]
    groups: list[dict[str, Any]] = [
        dict(params=list(decayed), weight_decay=config.weight_decay),
        dict(params=others, weight_decay=0.0),
    ]
    groups = [group for group in groups if group["params"]]
    return AdamW(groups, lr=lr, betas=(config.beta1, config.beta2), fused=True)


OPTIMIZERS = (
    OptimizerSpec("muon", "muon_lr", _muon_params, _make_muon, frozenset({"momentum"})),
    OptimizerSpec(
        "sparse_rmsprop", "ngram_lr", _ngram_tables, _make_sparse_rmsprop, frozenset({"exp_avg_sq", "step"})
    ),
    OptimizerSpec("adamw", "lr", _trained, _make_adamw, frozenset({"exp_avg", "exp_avg_sq", "step"})),
)
"""All optimizers in order of choice: the last one takes the parameters that no other one wants."""


def make_optimizers(model: nn.Module, config: OptimConfig) -> dict[str, Optimizer]:
    """Return the optimizers of a model by name.

    Each trained parameter belongs to exactly one. Each parameter group stores its peak learning rate as
    `peak_lr`.
    """
    optimizers: dict[str, Optimizer] = {}
    taken: set[Tensor] = set()
    for spec in OPTIMIZERS:
        params = [p for p in spec.select(model, config) if p not in taken]
        if params:
            taken.update(params)
            optimizers[spec.name] = spec.make(params, model, config, config.peak_lrs[spec.rate])
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def _matrices(module: nn.Module) -> list[Tensor]:
    """Return the trained matrices of all linear layers, each once."""
    found = [part.weight for part in module.modules() if isinstance(part, nn.Linear)]
    return list(dict.fromkeys(weight for weight in found if weight.requires_grad))


def set_lr(optimizers: dict[str, Optimizer], scale: float) -> None:
    """Set the learning rate of every group to `scale` times its peak."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * scale


def current_lrs(optimizers: dict[str, Optimizer]) -> dict[str, float]:
    """Return the learning rate of each optimizer; all its groups have the same."""
    return {name: optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}


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


def state_tensors(optimizers: dict[str, Optimizer], model: nn.Module) -> dict[str, Tensor]:
    """Return all optimizer state as tensors named optimizer/parameter/key."""
    return {
        f"{kind}/{name}/{key}": value
        for kind, optimizer in optimizers.items()
        for name, p in model.named_parameters()
        for key, value in optimizer.state.get(p, {}).items()
    }


def load_state_tensors(
    optimizers: dict[str, Optimizer], model: nn.Module, tensors: dict[str, Tensor]
) -> None:
    """Restore the optimizer state that `state_tensors` returned.

    Raises UserError for state that these optimizers do not keep.
    """
    params = dict(model.named_parameters())
    owners = {
        p: kind for kind, each in optimizers.items() for group in each.param_groups for p in group["params"]
    }
    keys = {spec.name: spec.state for spec in OPTIMIZERS}
    found: dict[tuple[str, str], dict[str, Tensor]] = {}
    for path, value in tensors.items():
        kind, _, rest = path.partition("/")
        name, _, key = rest.rpartition("/")
        found.setdefault((kind, name), {})[key] = value
    for (kind, name), state in found.items():
        p = params.get(name)
        fits = p is not None and owners.get(p) == kind and state.keys() == keys[kind]
        if p is None or not fits or any(t.shape not in (p.shape, ()) for t in state.values()):
            raise UserError(
                "the optimizer state of {name} does not fit the optimizer of config.json. Use the "
                "checkpoint and config.json of the same run.",
                name=quoted(name),
            )
        optimizers[kind].state[p] = {key: value.to(p.device) for key, value in state.items()}
