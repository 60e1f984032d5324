"""The optimizers of a model: which one takes which parameters, and their learning rates.

To add an optimizer, give it an entry in OPTIMIZERS, and a name or a rate in `OptimConfig`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from glassgpt.config import OptimConfig
from glassgpt.nn import Block, NgramEmbedding
from glassgpt.train.optim.muon import Muon
from glassgpt.train.optim.sparse_rmsprop import SparseRMSprop


@dataclass(frozen=True)
class OptimizerSpec:
    """One optimizer: the parameters that it takes, and how it is made."""

    name: str
    """Name in checkpoints and in `StepDone.lrs`."""
    rate: str
    """Key of its peak learning rate in `OptimConfig.peak_lrs`."""
    select: Callable[[nn.Module, OptimConfig], list[Tensor]]
    """Return the parameters of a model that it can train."""
    make: Callable[[list[Tensor], float, nn.Module, OptimConfig], Optimizer]
    """Make it for some of these parameters, with a peak learning rate."""
    state_keys: frozenset[str] = frozenset()
    """Keys of its state for a parameter. Each value is a number, or has the parameter's shape."""


def _block_matrices(model: nn.Module, config: OptimConfig) -> list[Tensor]:
    if config.optimizer != "muon":
        return []
    return [p for block in model.modules() if isinstance(block, Block) for p in _matrices(block)]


def _ngram_tables(model: nn.Module, _: OptimConfig) -> list[Tensor]:
    tables = [part.table.weight for part in model.modules() if isinstance(part, NgramEmbedding)]
    return [table for table in tables if table.requires_grad]


def _all_trained(model: nn.Module, _: OptimConfig) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad]


def _matrices(module: nn.Module) -> list[Tensor]:
    """Return the trained matrices of all linear layers, each once."""
    weights = [part.weight for part in module.modules() if isinstance(part, nn.Linear)]
    return list(dict.fromkeys(weight for weight in weights if weight.requires_grad))


def _make_muon(params: list[Tensor], lr: float, _: nn.Module, config: OptimConfig) -> Optimizer:
    return Muon(params, lr=lr, weight_decay=config.weight_decay)


def _make_sparse_rmsprop(params: list[Tensor], lr: float, _: nn.Module, config: OptimConfig) -> Optimizer:
    return SparseRMSprop(params, lr=lr, beta2=config.beta2)


def _make_adamw(params: list[Tensor], lr: float, model: nn.Module, config: OptimConfig) -> Optimizer:
    """Make AdamW with weight decay for matrices of linear layers only.

    Norms, biases and embedding rows have no direction in which smaller is simpler.
    """
    embeddings = {part.weight for part in model.modules() if isinstance(part, nn.Embedding)}
    may_decay = set(params) - embeddings  # a head tied to the embedding is none of them
    decayed = dict.fromkeys(p for p in _matrices(model) if p in may_decay)
    others = [p for p in params if p not in decayed]
    groups: list[dict[str, Any]] = [
        dict(params=list(decayed), weight_decay=config.weight_decay),
        dict(params=others, weight_decay=0.0),
    ]
    groups = [group for group in groups if group["params"]]
    return AdamW(groups, lr=lr, betas=(config.beta1, config.beta2), fused=True)


OPTIMIZERS = (
    OptimizerSpec("muon", "muon_lr", _block_matrices, _make_muon, frozenset({"momentum"})),
    OptimizerSpec(
        "sparse_rmsprop", "ngram_lr", _ngram_tables, _make_sparse_rmsprop, frozenset({"exp_avg_sq", "step"})
    ),
    OptimizerSpec("adamw", "lr", _all_trained, _make_adamw, frozenset({"exp_avg", "exp_avg_sq", "step"})),
)
"""All optimizers by priority: a parameter belongs to the first one that selects it."""


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
            optimizers[spec.name] = spec.make(params, config.peak_lrs[spec.rate], model, config)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def set_lr(optimizers: dict[str, Optimizer], scale: float) -> None:
    """Set the learning rate of every group to `scale` times its peak."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * scale


def current_lrs(optimizers: dict[str, Optimizer]) -> dict[str, float]:
    """Return the learning rate of each optimizer; all its groups have the same."""
    return {name: optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}
