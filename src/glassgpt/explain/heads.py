"""Heads of a trained model at work on a held-out text; what `weighted-sum`, `query-key` and `scale` share.

Not a chapter itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgpt.explain.context import Demo
from glassgpt.explain.influence import held_out
from glassgpt.hooks import KERNEL_ACTIVATIONS, record
from glassgpt.lens import token_labels
from glassgpt.models import Model, Seq2Seq

FAMILIES = ("gpt", "encoder", "seq2seq")
"""Where self-attention is looked at; of a translator, in the encoder that it reads with."""


@dataclass(frozen=True)
class Layer:
    """What passed through the attention of one block, of one sequence."""

    q: Tensor
    """(H, T, D), as the kernel got it: after QK-norm and RoPE, where the model has them."""
    k: Tensor
    """(H, T, D); under grouped-query attention, each key head as often as query heads share it."""
    v: Tensor
    """(H, T, D), as with k."""
    scores: Tensor
    """(H, T, T): scaled, the mask not yet applied."""
    masked_scores: Tensor
    """(H, T, T), −∞ where a query may not look."""
    weights: Tensor
    """(H, T, T)."""
    heads: Tensor
    """(H, T, D): what the kernel gathered."""

    @property
    def allowed(self) -> Tensor:
        """(H, T, T): True where a query may look."""
        return self.masked_scores.isfinite()


@dataclass(frozen=True)
class Shown:
    """The text, all heads on it, and the one head and query that a chapter takes apart."""

    labels: list[str]
    layers: list[Layer]
    layer: int
    head: int
    row: int

    @property
    def chosen(self) -> Layer:
        """The layer of the shown head."""
        return self.layers[self.layer]


def part_of(model: Model) -> Model:
    """The part of a model whose self-attention is looked at."""
    return model.encoder if isinstance(model, Seq2Seq) else model


@torch.no_grad()
def watch(model: Model, tokens: Tensor) -> list[Layer]:
    """All self-attention of a model on one sequence (1, T)."""
    with record(model, [f"blocks.*.attn.{name}" for name in KERNEL_ACTIVATIONS]) as seen:
        model.trunk(tokens)
    layers = []
    for block in range(model.config.n_layer):
        parts = {name: seen[f"blocks.{block}.attn.{name}"][0] for name in KERNEL_ACTIVATIONS}
        group = len(parts["q"]) // len(parts["k"])
        shared = {name: parts[name].repeat_interleave(group, 0) for name in ("k", "v")}  # (H, T, D)
        layers.append(Layer(**parts | shared))
    return layers


def show(demo: Demo, length: int, generator: torch.Generator) -> Shown:
    """A held-out text of at most `length` tokens, and the head whose weights are spread most evenly on it.

    Of this head, the query that mixes most: a sum of one term would show nothing.
    """
    tokens = held_out(demo, 1, length, generator)
    layers = watch(part_of(demo.model), tokens)
    spread = torch.stack([torch.special.entr(layer.weights).sum(-1) for layer in layers])  # (L, H, T)
    layer, head = divmod(int(spread.sum(-1).argmax()), spread.shape[1])
    row = int(spread[layer, head].argmax())
    return Shown(token_labels(demo.tokenizer, tokens[0].tolist()), layers, layer, head, row)


def largest_error(got: Tensor, expected: Tensor, allowed: Tensor) -> float:
    """The largest difference of two tensors in units of what float rounding allows: at most 1."""
    tiny = torch.finfo(allowed.dtype).tiny
    return ((got - expected).abs() / allowed.clamp(min=tiny)).max().item()


def rounding(a: Tensor, b: Tensor) -> Tensor:
    """How far two ways to compute a @ b may lie apart: (..., n, m) @ (..., m, k) -> (..., n, k).

    A sum of m products is off by at most m·u·Σ|a||b| whatever its order, u half of ε, and one more operation
    (a division by √m, say) by u of the result. Source: Higham 2002, section 3.1.
    """
    return (a.shape[-1] + 2) * torch.finfo(a.dtype).eps * (a.abs() @ b.abs())
