"""Parts of a trained block, for the chapter `block`: sizes of their writes, and the loss without them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.explain.heads import largest_error
from glassgpt.hooks import Edit, edit, record, zero
from glassgpt.models import Model
from glassgpt.nn import Block

KNOCKOUTS = ("attention", "mlp", "both", "gains", "norms", "path")
"""Changes of a block: parts that write nothing, norms without gains or left out, and no residual path."""
MOST_BLOCKS = 4
WINDOWS = (8, 32)
"""Fewest and most texts to measure the loss on."""
WORK = 2e11
"""Floating-point operations for all losses together, about."""
LOGITS = 2e7
"""Most logits at a time."""
ROUNDING = 1e-5
"""Tolerance of a norm in float32."""


@dataclass(frozen=True)
class Writes:
    """Root mean squares in one block: of the stream, and of what attention and MLP add to it."""

    before: float
    attention: float
    between: float
    mlp: float
    after: float
    error: float
    """Largest difference of the stream from the embedding plus all writes so far, in units of rounding."""
    unit: float
    """RMS of what a part reads, before the gain: the one further from 1."""
    rescaled: float
    """Largest relative change of what a part reads if the stream is twice as large."""
    slack: float
    """Bound of both differences: the norm adds ε to the mean square, so that it divides by no zero."""


@torch.no_grad()
def record_writes(model: Model, tokens: Tensor) -> list[Writes]:
    """Measure what each block adds to the residual stream. tokens: (B, T)."""
    places = ("resid_pre", "attn.out", "resid_mid", "mlp.out", "resid_post")
    with record(model, [f"blocks.*.{place}" for place in places]) as seen:
        model.trunk(tokens)
    total = seen["blocks.0.resid_pre"].double()  # (B, T, C)
    size, found = total.abs(), []
    for at, block in enumerate(blocks_of(model)):
        x, a, mid, m, after = (seen[f"blocks.{at}.{place}"] for place in places)  # (B, T, C) each
        total, size = total + a.double() + m.double(), size + a.abs() + m.abs()
        allowed = (at + 1) * torch.finfo(x.dtype).eps * size  # two additions a block, each within ε/2
        reads = [_read(block.norm_1, x), _read(block.norm_2, mid)]
        unit = max((read.unit for read in reads), key=lambda value: abs(value - 1))
        found.append(
            Writes(
                *(rms(x), rms(a), rms(mid), rms(m), rms(after)),
                largest_error(after.double(), total, allowed),
                unit,
                max(read.rescaled for read in reads),
                max(read.slack for read in reads),
            )
        )
    return found


class Read(NamedTuple):
    """Input of a part: RMS before the gain, its change if the stream doubles, and the bound of both."""

    unit: float
    rescaled: float
    slack: float


def _read(norm: nn.Module, x: Tensor) -> Read:
    """Measure a norm on a stream x (B, T, C).

    A mean square s becomes s / (s + ε), and 4 s / (4 s + ε) if the stream doubles: both lie within ε / s
    of 1.
    """
    ours = plain(norm)
    y, doubled = ours(x), ours(2 * x)
    squares = x.var(-1, correction=0) if isinstance(norm, nn.LayerNorm) else x.pow(2).mean(-1)  # (B, T)
    eps = float(norm.eps)  # pyright: ignore[reportArgumentType]
    return Read(rms(y), ((doubled - y).norm() / y.norm()).item(), eps / squares.min().item() + ROUNDING)


@dataclass(frozen=True)
class Loss:
    """Loss of a changed model, and its difference from the whole model's over texts."""

    mean: float
    """Nats a token."""
    added: float
    """Nats more than the whole model."""
    error: float
    """Standard error of `added`."""


@torch.no_grad()
def knock_out(
    model: Model, tokens: Tensor, blocks: Sequence[int]
) -> tuple[Loss, dict[tuple[int, str], Loss]]:
    """Measure the loss of the whole model, and with one change in one block.

    tokens: (B, T). Returns the losses by block and change.
    """
    whole = text_losses(model, tokens)
    found = {}
    for at in blocks:
        for name in KNOCKOUTS:
            with changed(model, at, name):
                found[at, name] = difference(text_losses(model, tokens), whole)
    return difference(whole, whole), found


def text_losses(model: Model, tokens: Tensor) -> Tensor:
    """Return the mean loss of each text, (B,), in nats a token."""
    logits = model(tokens[:, :-1])  # (B, T - 1, V)
    return F.cross_entropy(logits.mT, tokens[:, 1:], reduction="none").double().mean(1)


def difference(losses: Tensor, whole: Tensor) -> Loss:
    """Compare the losses of texts, (B,), with those of the whole model."""
    added = losses - whole
    return Loss(losses.mean().item(), added.mean().item(), (added.std() / len(added) ** 0.5).item())


def changed(model: Model, at: int, name: str) -> AbstractContextManager[object]:
    """Change one block of a model inside a `with` block; `name` is one of KNOCKOUTS."""
    parts = {"attention": ["attn.out"], "mlp": ["mlp.out"], "both": ["attn.out", "mlp.out"]}
    if name in parts:
        return edit(model, {f"blocks.{at}.{part}": zero for part in parts[name]})
    if name == "path":
        return edit(model, _without_path(f"blocks.{at}."))
    block = blocks_of(model)[at]
    return _with_norms(block, _ungained if name == "gains" else _unnormed)


def _without_path(block: str) -> Mapping[str, Edit]:
    """Return edits that leave out the stream in both sums of a block: x = part(norm(x))."""
    stream: dict[str, Tensor] = {}

    def keep(place: str) -> Edit:
        def kept(x: Tensor) -> Tensor:
            stream[place] = x
            return x

        return kept

    return {
        f"{block}resid_pre": keep("attn"),
        f"{block}attn.out": lambda out: out - stream["attn"],
        f"{block}resid_mid": keep("mlp"),
        f"{block}mlp.out": lambda out: out - stream["mlp"],
    }


@contextmanager
def _with_norms(block: Block, replaced: Callable[[nn.Module, Tensor], Tensor]) -> Iterator[None]:
    """Replace the outputs of both norms, as functions of the norm and its input, inside a `with` block."""
    with ExitStack() as stack:
        for norm in (block.norm_1, block.norm_2):
            hook = norm.register_forward_hook(lambda module, inputs, _: replaced(module, inputs[0]))
            stack.callback(hook.remove)
        yield


def _ungained(norm: nn.Module, x: Tensor) -> Tensor:
    return plain(norm)(x)


def _unnormed(norm: nn.Module, x: Tensor) -> Tensor:
    return x * norm.get_parameter("weight")


def plain(norm: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a norm without its gain and bias."""
    ours = copy.deepcopy(norm).requires_grad_(False)
    ours.get_parameter("weight").fill_(1.0)
    if (bias := dict(ours.named_parameters()).get("bias")) is not None:
        bias.zero_()
    return ours.forward


def rms(x: Tensor) -> float:
    """Return the root mean square of all numbers."""
    return x.double().pow(2).mean().sqrt().item()


def blocks_of(model: Model) -> list[Block]:
    """Return the blocks of a model."""
    return [module for module in model.modules() if isinstance(module, Block)]


def shown_blocks(n: int) -> list[int]:
    """Return up to four of n blocks, evenly spaced, the first and the last included.

    >>> shown_blocks(2), shown_blocks(12)
    ([0, 1], [0, 4, 7, 11])
    """
    count = min(n, MOST_BLOCKS)
    return sorted({round(at * (n - 1) / max(count - 1, 1)) for at in range(count)})


def n_texts(model: Model, passes: int, length: int) -> int:
    """Return the number of texts of a length that keeps so many passes of a large model short."""
    fewest, most = WINDOWS
    affordable = min(WORK / (passes * 2 * model.n_params), LOGITS / model.n_vocab) / length
    return max(fewest, min(most, int(affordable)))
