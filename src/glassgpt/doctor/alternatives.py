"""Variants of a trained model: a part rescaled, left out or exchanged with another, for a while.

A trained model is at its best as it was trained. An alternative that costs less shows what changed since.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import combinations, pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glassgpt.data import Batch
from glassgpt.doctor.model_parts import ModelParts, NamedModule
from glassgpt.doctor.probes import FunctionProbe, module_paths, scaled_outputs
from glassgpt.doctor.subject import Subject
from glassgpt.language import N_

FACTORS = (0.25, 0.5, 0.707, 1.414, 2.0, 4.0)
POWERS = (0.5, 0.75, 1.5, 2.0, 3.0)
"""Rotary frequencies to these powers: the base to this power."""
OPTIONAL = ("attention", "mlp output")
"""Parts that may be left out."""
EVERY_NORM = "every norm"
GLOBAL = ("normalization", "output")
"""Parts whose size changes everything after them."""
N_SINGLE_PARTS = 12
"""Parts of single blocks that are tried: those in which the loss falls most."""
MAX_ALL_PAIRS = 4
"""Blocks up to which all pairs are exchanged; of more, neighbors only."""
SIZES: dict[str, str] = {
    "attention scores": N_("scores have the wrong size"),
    "attention": N_("the attention's output has the wrong size"),
    "projections": N_("the attention's matrices have the wrong size"),
    "mlp": N_("the MLP's matrices have the wrong size"),
    "mlp output": N_("the MLP's output has the wrong size"),
    "normalization": N_("the gain has the wrong size"),
    "output": N_("logits have the wrong size"),
}


class Alternative(NamedTuple):
    """A changed part: `apply` changes it for a while. where: the block; empty for all blocks.

    size: mean of a norm's gain, for a part whose size training begins with 1.
    """

    category: str
    cause: str
    apply: Callable[[], AbstractContextManager[None]]
    factor: float | None = None
    where: str = ""
    size: float | None = None

    @property
    def is_larger(self) -> bool:
        """True if a part becomes larger."""
        return self.factor is not None and self.factor > 1

    @property
    def is_early(self) -> bool:
        """True for sizes that a short training has not found yet: sharper logits, gains further from 1."""
        if not self.is_larger or self.category not in GLOBAL:
            return False
        return self.size is None or abs(math.log(self.size * (self.factor or 1))) > abs(math.log(self.size))

    @property
    def is_global(self) -> bool:
        """True if it changes the size of everything after it."""
        return self.factor is not None and self.category in GLOBAL and not self.where


def alternatives(s: Subject, batch: Batch) -> Iterator[Alternative]:
    """Yield the variants that a trained model is compared with; none is applied yet."""
    model_parts = s.parts
    for part, modules in _parts(model_parts, model_parts.blocks).items():
        for factor in (*FACTORS, *((0.0,) if part in OPTIONAL else ())):
            yield _resized(part, modules, factor)
    if len(model_parts.blocks) > 1:
        yield from _of_single_blocks(s, model_parts, batch)
    yield from _exchanged(s.model, model_parts)
    yield from _transposed(s.model)
    yield from _other_rotary_bases(s.model)


def _resized(part: str, modules: Sequence[nn.Module], factor: float, where: str = "") -> Alternative:
    category = "normalization" if part == EVERY_NORM else part
    size = _mean_gain(modules) if category == "normalization" else None
    return Alternative(
        category, SIZES[category], partial(_scaled, part, modules, factor), factor, where, size
    )


def _mean_gain(norms: Sequence[nn.Module]) -> float | None:
    gains = [gain.detach() for each in norms if isinstance(gain := getattr(each, "weight", None), Tensor)]
    return (float(torch.cat(gains).abs().mean()) or None) if gains else None


def _parts(model_parts: ModelParts, blocks: Sequence[NamedModule]) -> dict[str, list[nn.Module]]:
    """Return the modules of each category whose size can be changed."""
    every = len(blocks) == len(model_parts.blocks)
    inside = {each.path for each in blocks}

    def of(parts: Iterable[NamedModule]) -> list[nn.Module]:
        return [each.module for each in parts if every or each.path.rpartition(".")[0] in inside]

    attentions, mlps = of(model_parts.attentions), of(model_parts.mlps)
    parts = {"attention": attentions, "projections": attentions, "mlp": mlps, "mlp output": mlps}
    full = [each for each in model_parts.norms if _is_full(each, model_parts)]
    parts["normalization"] = of(full)
    if len(full) < len(model_parts.norms):  # those of queries and keys, too
        norms = (
            model_parts.norms
            if every
            else [n for n in model_parts.norms if n.path.startswith(f"{blocks[0].path}.")]
        )
        parts[EVERY_NORM] = [each.module for each in norms]
    if every:
        head = [] if model_parts.head is None else [model_parts.head.module]
        parts = {"attention scores": list[nn.Module](), **parts, "output": head}
    return parts


def _is_full(norm: NamedModule, model_parts: ModelParts) -> bool:
    """True for a norm over the whole width: directly inside a block, or outside of all."""
    above = norm.path.rpartition(".")[0]
    return any(above == block.path for block in model_parts.blocks) or not any(
        norm.path.startswith(block.path + ".") for block in model_parts.blocks
    )


@contextmanager
def _scaled(category: str, parts: Sequence[nn.Module], factor: float) -> Iterator[None]:
    """Change the size of a part."""
    if category == "attention scores":
        with FunctionProbe(keep=False, score_scale=factor):
            yield
    elif category in ("projections", "mlp"):
        with _changed(_matrices(parts), lambda p: p * factor):
            yield
    else:
        with scaled_outputs(parts, factor):
            yield


def _matrices(parts: Iterable[nn.Module]) -> list[Tensor]:
    return list({p: None for part in parts for p in part.parameters() if p.ndim >= 2})


@contextmanager
def _changed(tensors: Sequence[Tensor], change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Change parameters or buffers in place, and restore them."""
    kept = [each.detach().clone() for each in tensors]
    try:
        with torch.no_grad():
            for each, value in zip(tensors, kept, strict=True):
                each.copy_(change(value))
        yield
    finally:
        with torch.no_grad():
            for each, value in zip(tensors, kept, strict=True):
                each.copy_(value)


def _of_single_blocks(s: Subject, model_parts: ModelParts, batch: Batch) -> Iterator[Alternative]:
    """Yield other sizes of parts of one block: those that promise most, in the direction that they show."""
    parts = {
        (category, block.path): modules
        for block in model_parts.blocks
        for category, modules in _parts(model_parts, [block]).items()
        if modules
    }
    gradients = _size_gradients(s, parts, batch)
    for category, path in sorted(gradients, key=lambda key: -abs(gradients[key]))[:N_SINGLE_PARTS]:
        smaller = gradients[category, path] > 0
        for factor in FACTORS:
            if (factor < 1) == smaller:
                yield _resized(category, parts[category, path], factor, path)
    for (category, path), modules in parts.items():
        if category in OPTIONAL:
            yield _resized(category, modules, 0.0, path)


def _size_gradients(
    s: Subject, parts: dict[tuple[str, str], list[nn.Module]], batch: Batch
) -> dict[tuple[str, str], float]:
    """Return the derivative of the loss by the logarithm of each part's size."""
    matrices = {key: _matrices(modules) for key, modules in parts.items() if key[0] in ("projections", "mlp")}
    ones = {key: torch.ones((), requires_grad=True) for key in parts if key not in matrices}
    learning = {p for group in matrices.values() for p in group if p.requires_grad}
    with torch.enable_grad(), ExitStack() as stack:
        for key, one in ones.items():
            stack.enter_context(scaled_outputs(parts[key], one))
        wanted = [*ones.values(), *learning]
        grads = torch.autograd.grad(s.loss(batch), wanted, allow_unused=True)
    grad = {id(each): g for each, g in zip(wanted, grads, strict=True) if g is not None}
    gradients = {key: float(grad[id(one)]) for key, one in ones.items() if id(one) in grad}
    for key, group in matrices.items():
        gradients[key] = sum(float((p.detach() * grad[id(p)]).sum()) for p in group if id(p) in grad)
    return gradients


def _exchanged(model: nn.Module, model_parts: ModelParts) -> Iterator[Alternative]:
    """Yield queries and keys, and blocks, in each other's place."""
    cause = N_("queries and keys are exchanged")
    places = ["", *(each.path for each in model_parts.blocks)] if len(model_parts.blocks) > 1 else [""]
    for path in places:
        yield Alternative("projections", cause, partial(_exchange, model, path), where=path)
    cause = N_("blocks are exchanged")
    if model_parts.blocks and isinstance(above := model_parts.above_blocks, nn.ModuleList):
        n = len(above)
        for i, j in combinations(range(n), 2) if n <= MAX_ALL_PAIRS else pairwise(range(n)):
            yield Alternative(
                "residual", cause, partial(_swapped, above, i, j), where=model_parts.blocks[i].path
            )


@contextmanager
def _exchange(model: nn.Module, path: str) -> Iterator[None]:
    probe = FunctionProbe(keep=False, exchange=True, within=path)
    with probe, module_paths(model, probe):
        yield


@contextmanager
def _swapped(modules: nn.ModuleList, i: int, j: int) -> Iterator[None]:
    modules[i], modules[j] = modules[j], modules[i]
    try:
        yield
    finally:
        modules[i], modules[j] = modules[j], modules[i]


def _transposed(model: nn.Module) -> Iterator[Alternative]:
    """Yield square matrices of one name in all blocks, transposed."""
    groups: dict[str, list[Tensor]] = {}
    for name, p in model.named_parameters():
        if p.ndim == 2 and p.shape[0] == p.shape[1]:
            groups.setdefault(".".join(name.split(".")[-3:-1]), []).append(p)
    for name, group in groups.items():
        change = partial(_changed, group, lambda p: p.T)
        yield Alternative("projections", N_("a matrix is transposed"), change, where=name)


def _other_rotary_bases(model: nn.Module) -> Iterator[Alternative]:
    """Yield rotary positions with another base."""
    tables = [part for part in map(_rotary, model.modules()) if part is not None]
    for power in POWERS if tables else ():
        yield Alternative(
            "positions", N_("positions turn at another pace"), partial(_rotary_base, tables, power), None
        )


def _rotary(module: nn.Module) -> tuple[Tensor, ...] | None:
    """Return a module's rotary frequencies (D / 2,), or its cosines and sines, each (T, D / 2)."""
    buffers = dict(module.named_buffers(recurse=False))
    if "inv_freq" in buffers:
        return (buffers["inv_freq"],)
    tables = tuple(buffers[name] for name in ("cos", "sin") if name in buffers)
    return tables if len(tables) == 2 and all(t.ndim == 2 and len(t) > 1 for t in tables) else None


@contextmanager
def _rotary_base(tables: Sequence[tuple[Tensor, ...]], power: float) -> Iterator[None]:
    """Raise the rotary frequencies to a power."""
    with ExitStack() as stack:
        for each in tables:
            if len(each) == 1:
                stack.enter_context(_changed(each, lambda f: f**power))
                continue
            cos, sin = each
            frequency = torch.atan2(sin[1], cos[1]).clamp(min=0) ** power  # (D / 2,)
            angle = torch.outer(torch.arange(len(cos), dtype=cos.dtype, device=cos.device), frequency)
            stack.enter_context(_changed([cos], lambda _, angle=angle: angle.cos()))
            stack.enter_context(_changed([sin], lambda _, angle=angle: angle.sin()))
        yield
