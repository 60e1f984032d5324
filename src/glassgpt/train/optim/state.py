"""Optimizer state as named tensors, for checkpoints."""

from __future__ import annotations

from collections import defaultdict

from torch import Tensor, nn
from torch.optim import Optimizer

from glassgpt.errors import UserError
from glassgpt.safe_io import quoted
from glassgpt.train.optim.registry import OPTIMIZERS


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
    params, owners = dict(model.named_parameters()), _owners(optimizers)
    keys = {spec.name: spec.state_keys for spec in OPTIMIZERS}
    for (kind, name), state in _by_parameter(tensors).items():
        p = params.get(name)
        if p is None or owners.get(p) != kind or state.keys() != keys[kind] or not _fits(state, p):
            raise UserError(
                "the optimizer state of {name} does not fit the optimizer of config.json. Use the "
                "checkpoint and config.json of the same run.",
                name=quoted(name),
            )
        optimizers[kind].state[p] = {key: value.to(p.device) for key, value in state.items()}


def _owners(optimizers: dict[str, Optimizer]) -> dict[Tensor, str]:
    """Return the name of each parameter's optimizer."""
    return {
        p: name
        for name, optimizer in optimizers.items()
        for group in optimizer.param_groups
        for p in group["params"]
    }


def _by_parameter(tensors: dict[str, Tensor]) -> dict[tuple[str, str], dict[str, Tensor]]:
    """Group tensors named optimizer/parameter/key by optimizer and parameter."""
    states: defaultdict[tuple[str, str], dict[str, Tensor]] = defaultdict(dict)
    for path, value in tensors.items():
        kind, _, rest = path.partition("/")
        name, _, key = rest.rpartition("/")
        states[kind, name][key] = value
    return states


def _fits(state: dict[str, Tensor], p: Tensor) -> bool:
    return all(value.shape in (p.shape, ()) for value in state.values())
