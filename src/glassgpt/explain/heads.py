"""Self-attention of a model on held-out text, for `weighted-sum`, `query-key` and `scale`."""

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
"""Families with self-attention to show; of a translator, that of its encoder."""


@dataclass(frozen=True)
class AttentionLayer:
    """Activations of the attention in one block, for one sequence."""

    q: Tensor
    """(H, T, D), input of the kernel: after QK-norm and RoPE, if the model has them."""
    k: Tensor
    """(H, T, D); with grouped-query attention, key heads are repeated for their query heads."""
    v: Tensor
    """(H, T, D), as with k."""
    scores: Tensor
    """(H, T, T): scaled, before the mask."""
    masked_scores: Tensor
    """(H, T, T), −∞ where a query may not look."""
    weights: Tensor
    """(H, T, T)."""
    heads: Tensor
    """(H, T, D): the output of the kernel."""

    @property
    def allowed(self) -> Tensor:
        """(H, T, T): True where a query may look."""
        return self.masked_scores.isfinite()


@dataclass(frozen=True)
class HeadExample:
    """A text with all its heads, and one head and query as the example."""

    labels: list[str]
    layers: list[AttentionLayer]
    layer: int
    head: int
    row: int

    @property
    def chosen(self) -> AttentionLayer:
        """The layer of the example."""
        return self.layers[self.layer]


def attention_stack(model: Model) -> Model:
    """Return the stack of blocks with the self-attention to show."""
    return model.encoder if isinstance(model, Seq2Seq) else model


@torch.no_grad()
def record_layers(model: Model, tokens: Tensor) -> list[AttentionLayer]:
    """Record the self-attention of all blocks on one sequence (1, T)."""
    with record(model, [f"blocks.*.attn.{name}" for name in KERNEL_ACTIVATIONS]) as seen:
        model.trunk(tokens)
    layers = []
    for block in range(model.config.n_layer):
        parts = {name: seen[f"blocks.{block}.attn.{name}"][0] for name in KERNEL_ACTIVATIONS}
        group = len(parts["q"]) // len(parts["k"])
        shared = {name: parts[name].repeat_interleave(group, 0) for name in ("k", "v")}  # (H, T, D)
        layers.append(AttentionLayer(**parts | shared))
    return layers


def head_example(demo: Demo, length: int, generator: torch.Generator) -> HeadExample:
    """Choose a held-out text and the head and query with the most even weights.

    length: tokens of the text, at most. A query with a single large weight would show nothing.
    """
    tokens = held_out(demo, 1, length, generator)
    layers = record_layers(attention_stack(demo.model), tokens)
    spread = torch.stack([torch.special.entr(layer.weights).sum(-1) for layer in layers])  # (L, H, T)
    layer, head = divmod(int(spread.sum(-1).argmax()), spread.shape[1])
    row = int(spread[layer, head].argmax())
    return HeadExample(token_labels(demo.tokenizer, tokens[0].tolist()), layers, layer, head, row)


def largest_error(got: Tensor, expected: Tensor, allowed: Tensor) -> float:
    """Return the largest difference of two tensors in units of `allowed`."""
    tiny = torch.finfo(allowed.dtype).tiny
    return ((got - expected).abs() / allowed.clamp(min=tiny)).max().item()


def rounding(a: Tensor, b: Tensor) -> Tensor:
    """Bound the rounding between two computations of a @ b: (..., n, m) @ (..., m, k).

    A sum of m products is off by at most m·u·Σ|a||b| in any order, u half of ε, and one more operation
    (a division by √m, say) by u of the result. Source: Higham 2002, section 3.1.
    """
    return (a.shape[-1] + 2) * torch.finfo(a.dtype).eps * (a.abs() @ b.abs())
