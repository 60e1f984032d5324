"""Deep stacks of blocks with random weights, with and without residual path and norms, for `block`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.nn import AttnMask, Block, make_rope

DEPTHS = (1, 2, 4, 8, 16, 32)
BUILDS = {"both": (True, True), "norm": (False, True), "path": (True, False)}
"""With residual path, with norms."""
B, T, C = 2, 16, 64
CONFIG = ModelConfig.model_validate({"n_head": 4, "n_embd": C, "block_size": T, "preset": "modern"})


@dataclass(frozen=True)
class DeepStack:
    """Measurements of one stack."""

    gradient: float
    """Norm of the gradient at the input, for a random gradient of norm 1 at the normed output."""
    power: float
    """Mean square of the stream at the end."""
    written: float
    """Mean squares of the input and of everything that parts wrote, added up."""
    noise: float
    """Tolerance of power / written: four standard deviations of the sum of products of different writes."""


def random_blocks(depth: int, seed: int) -> list[Block]:
    """Make blocks whose matrices are N(0, 1 / fan_in), in float64."""
    generator = torch.Generator().manual_seed(seed)
    return [randomized(Block(CONFIG).double(), generator) for _ in range(depth)]


def grow(
    blocks: Sequence[Block], with_path: bool, with_norms: bool, seed: int, depths: Sequence[int] = DEPTHS
) -> list[DeepStack]:
    """Run the first blocks forth and back, for each of the rising depths."""
    generator = torch.Generator().manual_seed(seed)
    x0, upstream = torch.randn(2, B, T, C, generator=generator, dtype=torch.float64)
    rope, mask = make_rope(CONFIG), AttnMask.causal(T)
    assert rope is not None
    angles = rope(0, T)
    x = x0.requires_grad_()
    writes, found = [x0.detach()], []
    for depth, block in enumerate(blocks, 1):
        read = block.norm_1(x) if with_norms else x
        out = block.attn(read, mask=mask, rope=angles)
        x = x + out if with_path else out
        more = block.mlp(block.norm_2(x) if with_norms else x)
        x = x + more if with_path else more
        writes += [out.detach(), more.detach()]
        if depth in depths:
            found.append(_measured(x0, x, writes, upstream))
    return found


def _measured(x0: Tensor, x: Tensor, writes: Sequence[Tensor], upstream: Tensor) -> DeepStack:
    """Measure a stack from its input x0, its end x and all that was written to the stream."""
    passed = (F.rms_norm(x, (C,)) * upstream).sum()  # a sum: its gradient at the norm is `upstream`
    (gradient,) = torch.autograd.grad(passed, x0, retain_graph=True)
    squares = torch.stack([write.pow(2).mean() for write in writes])
    return DeepStack(
        (gradient.norm() / upstream.norm()).item(),
        x.detach().pow(2).mean().item(),
        squares.sum().item(),
        _noise(squares),
    )


M = TypeVar("M", bound=nn.Module)


def randomized(model: M, generator: torch.Generator) -> M:
    """Draw all matrices from N(0, 1 / fan_in), and all embeddings from N(0, 1)."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5, generator=generator)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, generator=generator)
    return model


def _noise(squares: Tensor) -> float:
    """Return the tolerance of the sum of squares as the square of the sum, relative.

    Writes have independent random weights, so the product of two has the mean 0. In the worst case a write
    is the same for all tokens, as if a text had one: then the mean of a product over C numbers has the
    variance s t / C, where s and t are the mean squares.
    """
    total = squares.sum()
    cross = (total**2 - squares.pow(2).sum()) / 2  # Σ s t over pairs
    return (4 * 2 * (cross / C).sqrt() / total).item()
