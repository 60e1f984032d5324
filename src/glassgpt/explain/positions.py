"""Models whose tokens stand at other positions, for the chapter `positions`."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.explain.deep_stacks import randomized
from glassgpt.models import Transformer, build
from glassgpt.nn import Rope, SinusoidalEmbedding

KINDS = ("none", "learned", "sinusoidal", "rope")
T, BLOCK, WIDTH = 16, 64, 64
N_VOCAB = 65
M = TypeVar("M", bound=Transformer)


def at_positions(model: M, positions: Tensor) -> M:
    """Return a copy of a model in which token t has the positional information of positions[t].

    positions: (T,), each below the context length. The copy reads texts of up to T tokens.
    """
    ours = copy.deepcopy(model)
    if ours.rope is not None:
        ours.rope.cos, ours.rope.sin = ours.rope.cos[positions], ours.rope.sin[positions]
    if isinstance(ours.wpe, nn.Embedding):
        ours.wpe.weight = nn.Parameter(ours.wpe.weight.detach()[positions])
    elif isinstance(ours.wpe, SinusoidalEmbedding):
        ours.wpe.table = ours.wpe.table[positions]
    return ours


@dataclass(frozen=True)
class Sensitivity:
    """Reactions of a random model to the order and the place of a text."""

    shuffled: float
    """Difference between the output of the shuffled text and the shuffled output, relative."""
    shifted: float
    """Change of the output if the text starts at a later position, relative."""
    n_params: int
    """Trained numbers for positions."""


def random_model(
    kind: str, generator: torch.Generator, *, causal: bool = False, n_layer: int = 2
) -> Transformer:
    """Return a model with one kind of positions and random weights, in float64."""
    shape = {"n_layer": n_layer, "n_head": 4, "n_embd": WIDTH, "block_size": BLOCK, "position": kind}
    family = "gpt" if causal else "encoder"
    model = build(ModelConfig.model_validate({**shape, "family": family}), N_VOCAB)
    assert isinstance(model, Transformer)
    model = randomized(model.double().eval(), generator)
    if model.rope is not None:
        model.rope.cos, model.rope.sin = exact_angles(BLOCK, model.config.head_dim, model.config.rope_theta)
    return model


@torch.no_grad()
def sensitivity(kind: str, generator: torch.Generator) -> Sensitivity:
    """Measure an encoder with one kind of positions on a random text of different tokens."""
    model = random_model(kind, generator)
    tokens = torch.randperm(N_VOCAB, generator=generator)[None, :T]  # (1, T)
    order = shuffled(T, generator)
    plain = model.trunk(tokens)  # (1, T, C)
    later = at_positions(model, torch.arange(T) + BLOCK - T)
    n_params = 0 if model.wpe is None else sum(p.numel() for p in model.wpe.parameters())
    return Sensitivity(
        relative(model.trunk(tokens[:, order]), plain[:, order]),
        relative(later.trunk(tokens), plain),
        n_params,
    )


@torch.no_grad()
def earlier_shuffled(n_layer: int, generator: torch.Generator) -> float:
    """Shuffle the tokens before the last one, in a causal model without positions.

    Returns the relative change of the last output.
    """
    model = random_model("none", generator, causal=True, n_layer=n_layer)
    tokens = torch.randperm(N_VOCAB, generator=generator)[None, :T]
    order = torch.cat([shuffled(T - 1, generator), torch.tensor([T - 1])])
    return relative(model.trunk(tokens[:, order])[:, -1], model.trunk(tokens)[:, -1])


def shuffled(n: int, generator: torch.Generator) -> Tensor:
    """Return a random order of n ≥ 2 places, not the natural one."""
    order = torch.randperm(n, generator=generator)
    return order if (order != torch.arange(n)).any() else order.flip(0)


def relative(a: Tensor, b: Tensor) -> float:
    """Return the norm of a − b, relative to that of b."""
    return ((a - b).norm() / b.norm()).item()


def exact_angles(n: int, D: int, theta: float) -> Rope:
    """Return the rotary angles of n positions in float64, (n, D / 2)."""
    frequency = theta ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)  # (D / 2,)
    angle = torch.outer(torch.arange(n, dtype=torch.float64), frequency)
    return Rope(angle.cos(), angle.sin())


def rotated(x: Tensor, theta: float, n: int) -> Tensor:
    """Rotate a vector x (D,) for the positions 0 … n − 1: (n, D), in float64."""
    copies = x.double().expand(1, 1, n, -1).contiguous()  # (1, 1, n, D)
    return exact_angles(n, len(x), theta).rotate(copies)[0, 0]


def largest_spread(products: Tensor) -> float:
    """Return the largest difference between pairs of equal distance: products (n, n), by row and column."""
    n = len(products)
    diagonals = [products.diagonal(offset) for offset in range(1 - n, n)]
    return max((diagonal.max() - diagonal.min()).item() for diagonal in diagonals)
