"""Parameter names and shapes of a model, derived from its configuration without allocating memory.

A config.json of a hundred bytes can ask for a model of a terabyte. So its layout is known, and the checkpoint
is checked against it, before anything is allocated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from glassgpt.checkpoint.store.header import DTYPES, Spec
from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.models import build
from glassgpt.ram import memory_bytes
from glassgpt.safe_io import damaged, quoted

WEIGHTS = ("F32", "F16", "BF16")
"""Types of stored weights, one per file. Packed models have halves."""
FILLING = {"normal_", "uniform_", "kaiming_uniform_", "zeros_", "ones_", "fill_", "zero_"}


class SkipInit(TorchFunctionMode):
    """Context that leaves new tensors unfilled: on the meta device, or before weights are loaded.

    torch's own fillers of the meta device import its compiler, which takes over a second.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # torch.nn.init passes the tensor by name
        if getattr(func, "__name__", "") in FILLING and (args or "tensor" in kwargs):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@dataclass(frozen=True)
class Layout:
    """Names and shapes of a model's weights, and the bytes of its tables (positions, masks)."""

    shapes: dict[str, tuple[int, ...]]
    table_bytes: int

    @property
    def n_bytes(self) -> int:
        """RAM of the model in bytes, weights in float32."""
        return self.table_bytes + 4 * sum(math.prod(shape) for shape in self.shapes.values())


def planned_layout(config: ModelConfig, n_vocab: int) -> Layout:
    """Return the layout of `build(config, n_vocab)`, of any size, without memory or random numbers."""
    try:
        with torch.device("meta"), SkipInit():
            model = build(config, n_vocab)
        shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
        return Layout(shapes, sum(table.nbytes for table in model.buffers()))
    except (RuntimeError, OverflowError, TypeError) as error:  # sizes that no number in torch can hold
        reason = str(error).splitlines()[0]
        raise UserError(
            "config.json asks for a model beyond torch's bounds ({reason}). Do not use it.", reason=reason
        ) from error


def layout(config: ModelConfig, n_vocab: int) -> Layout:
    """Return the layout of a model. Raises UserError for one that exceeds the RAM of this process."""
    planned = planned_layout(config, n_vocab)
    if planned.n_bytes > (limit := memory_bytes()):
        size, tables, ram = (f"{n / 1e9:,.1f} GB" for n in (planned.n_bytes, planned.table_bytes, limit))
        raise UserError(
            "config.json asks for a model of {size} ({tables} of it tables of positions), and this process "
            "may use {ram} of RAM. Use a larger machine or container; if you do not trust the run, do not "
            "use it.",
            size=size,
            tables=tables,
            ram=ram,
        )
    return planned


def check_weights(specs: Mapping[str, Spec], planned: Layout, where: object) -> None:
    """Raise UserError unless names and shapes are the model's, and the types one of WEIGHTS."""
    remedy = N_("One of the two files is from another run; restore a copy of it.")
    shapes = {name: spec.shape for name, spec in specs.items()}
    if differing := sorted(shapes.keys() ^ planned.shapes.keys()):
        side = N_("the file") if differing[0] in shapes else N_("the model of config.json")
        raise UserError(
            "{where} does not fit config.json: {n_differing} tensors are on one side only, such as "
            "{differing}, which only {side} has. {remedy}",
            where=where,
            n_differing=len(differing),
            differing=quoted(differing[0]),
            side=side,
            remedy=remedy,
        )
    for name, shape in shapes.items():
        if shape != planned.shapes[name]:
            raise UserError(
                "{where} does not fit config.json: {name} is {shape} in the file, and {shapes} in the "
                "model. {remedy}",
                where=where,
                name=quoted(name),
                shape=quoted(shape),
                shapes=quoted(planned.shapes[name]),
                remedy=remedy,
            )
    types = sorted({spec.dtype for spec in specs.values()})
    if len(types) > 1 or not set(types) <= set(WEIGHTS):
        raise UserError(
            "{where} holds {types}; weights are all {weights}. Do not use the file.",
            where=where,
            types=", ".join(types),
            weights=", all ".join(WEIGHTS),
        )


def check_optimizer(specs: Mapping[str, Spec], planned: Layout, where: object) -> None:
    """Raise UserError unless each tensor is plausible state of one weight, under `optimizer/weight/key`.

    It knows no optimizer: each weight belongs to one, each optimizer keeps the same keys for all its weights,
    and a tensor is at most as large as `max_state` allows.
    """
    keys: dict[tuple[str, str], set[str]] = {}
    for path, spec in specs.items():
        kind, _, rest = path.partition("/")
        name, _, key = rest.rpartition("/")
        if not (kind and key) or name not in planned.shapes:
            raise damaged(where, N_("{path} is the state of no weight of the model", path=quoted(path)))
        limit = max_state(planned.shapes[name])
        if spec.dtype not in DTYPES or math.prod(spec.shape) > limit:
            raise damaged(
                where,
                N_(
                    "{path} is {dtype} {shape}; at most {limit:,} numbers of a plain type belong to "
                    "that weight",
                    path=quoted(path),
                    dtype=quoted(spec.dtype),
                    shape=quoted(spec.shape),
                    limit=limit,
                ),
            )
        keys.setdefault((kind, name), set()).add(key)
    kept: dict[str, set[str]] = {}
    for (kind, name), found in keys.items():
        if found != kept.setdefault(kind, found):
            raise damaged(where, N_("the state of {name} is not complete", name=quoted(name)))
    if len({name for _, name in keys}) < len(keys):
        raise damaged(where, N_("a weight has the state of two optimizers"))


def max_state(shape: tuple[int, ...]) -> int:
    """Return the largest size of one tensor of optimizer state, in numbers.

    For a weight of this shape: its own size (AdamW, Muon), or the square of a matrix's longer side (SOAP).

    >>> max_state((3, 4)), max_state((4,)), max_state(())
    (16, 4, 1)
    """
    return max(math.prod(shape), max(shape, default=0) ** 2 if len(shape) > 1 else 0)
