"""What a configuration asks for, known before any of it is built, and whether a step holds exactly that.

A config.json of a hundred bytes can ask for a model of a terabyte: so it is laid out without memory first.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from glassgpt.checkpoint.store.header import Spec
from glassgpt.checkpoint.store.safe_io import quoted
from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.models import build

WEIGHTS = ("F32", "F16", "BF16")
"""Types in which weights may be stored, all of a file in the same; a model that is packed has halves."""
FILLING = {"normal_", "uniform_", "kaiming_uniform_", "zeros_", "ones_", "fill_", "zero_"}


class SkipInit(TorchFunctionMode):
    """Leaves tensors as they are where they would be filled: what is laid out without memory, or loaded next.

    torch's own fillers of the meta device import its compiler, which takes over a second.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in FILLING and (
            args or "tensor" in kwargs
        ):  # torch.nn.init names it
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@dataclass(frozen=True)
class Layout:
    """The weights of a model by name and shape, and the bytes of its tables (positions, masks)."""

    shapes: dict[str, tuple[int, ...]]
    table_bytes: int

    @property
    def n_bytes(self) -> int:
        """Memory of the model, weights in float32."""
        return self.table_bytes + 4 * sum(math.prod(shape) for shape in self.shapes.values())


def layout(config: ModelConfig, n_vocab: int) -> Layout:
    """What `build` would make, without memory and without drawing random numbers.

    Raises UserError for a model that does not fit into this machine's memory.
    """
    try:
        with torch.device("meta"), SkipInit():
            model = build(config, n_vocab)
        shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
        planned = Layout(shapes, sum(table.nbytes for table in model.buffers()))
    except (RuntimeError, OverflowError, TypeError) as error:  # sizes that no number in torch can hold
        reason = str(error).splitlines()[0]
        raise UserError(f"config.json asks for a model beyond bounds ({reason}); do not use it") from error
    if planned.n_bytes > (limit := memory_bytes()):
        size, tables, room = (f"{n / 1e9:,.1f} GB" for n in (planned.n_bytes, planned.table_bytes, limit))
        raise UserError(
            f"config.json asks for a model of {size} ({tables} of them tables of positions), and this "
            f"machine has {room} of memory: use a larger one, or where the run is a stranger's do not use it"
        )
    return planned


def memory_bytes() -> int:
    """Memory of this machine; where the system does not tell (Windows), 64 GiB."""
    if hasattr(os, "sysconf") and {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= os.sysconf_names.keys():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 1 << 36


def specs_of(tensors: Mapping[str, Tensor]) -> dict[str, Spec]:
    """What the header of a file with these tensors would say; floats only, all else is `other`."""
    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    return {name: Spec(names.get(t.dtype, "other"), tuple(t.shape)) for name, t in tensors.items()}


def check_weights(specs: Mapping[str, Spec], planned: Layout, where: object) -> None:
    """Raise UserError unless names and shapes are exactly the model's, and all of one type of WEIGHTS."""
    shapes = {name: spec.shape for name, spec in specs.items()}
    if differing := sorted(shapes.keys() ^ planned.shapes.keys()):
        side = (
            "the model of config.json has not"
            if differing[0] in shapes
            else "only the model of config.json has"
        )
        raise UserError(
            f"{where} does not fit config.json: {len(differing)} tensors are on one side only, such as "
            f"{quoted(differing[0])}, which {side}: one of the two files is from another run"
        )
    for name, shape in shapes.items():
        if shape != planned.shapes[name]:
            raise UserError(
                f"{where} does not fit config.json: {quoted(name)} is {quoted(shape)} in the file, and "
                f"{quoted(planned.shapes[name])} in the model: one of the two files is from another run"
            )
    types = sorted({spec.dtype for spec in specs.values()})
    if len(types) > 1 or not set(types) <= set(WEIGHTS):
        raise UserError(f"{where} holds {', '.join(types)}; weights are all {', all '.join(WEIGHTS)}")


def check_optimizer(specs: Mapping[str, Spec], planned: Layout, where: object) -> None:
    """Raise UserError unless each tensor is state of one of the weights, of its shape or one number."""
    keys: dict[tuple[str, str], set[str]] = {}
    for path, spec in specs.items():
        kind, _, rest = path.partition("/")
        name, _, key = rest.rpartition("/")
        if not (kind and key) or name not in planned.shapes:
            raise UserError(f"{where}: {quoted(path)} is the state of no weight of the model: it is damaged")
        if spec.dtype != "F32" or spec.shape not in ((), planned.shapes[name]):
            right = quoted(planned.shapes[name])
            raise UserError(
                f"{where}: {quoted(path)} is {spec.dtype} {quoted(spec.shape)}; F32 {right} or one number is "
                "what belongs to that weight: it is damaged"
            )
        keys.setdefault((kind, name), set()).add(key)
    kinds = [kind for kind, _ in keys]
    for (kind, name), found in keys.items():
        if found != next(each for (other, _), each in keys.items() if other == kind):
            raise UserError(f"{where}: the state of {quoted(name)} is not whole: it is damaged")
    if len({name for _, name in keys}) != len(kinds):
        raise UserError(f"{where}: a weight has the state of two optimizers: it is damaged")
