"""Chapter `graph`: attention is communication between the nodes of a directed graph.

It shows the batch, the order of nodes, and weights that depend on the text. The chapter `mask` covers the
mask.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.explain.influence import encoder_of, held_out, influence
from glassgpt.hooks import record
from glassgpt.lens import token_labels
from glassgpt.models import Encoder, Model

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Attention is communication: a directed graph without a notion of space"

B, T = 3, 8
ROUNDING = 1e6 * torch.finfo(torch.float64).eps
"""Relative tolerance of float64 sums in another order: ε times terms, layers and gains."""
ROUNDING_32 = 1e-4
"""Tolerance of attention weights in float32."""


@dataclass(frozen=True)
class Permuted:
    """Difference between the output of a permuted input and the permuted output, relative."""

    with_positions: float
    without_positions: float
    convolution: float


@torch.no_grad()
def permuted(encoder: Encoder, tokens: Tensor, order: Tensor, generator: torch.Generator) -> Permuted:
    """Shuffle the input (1, T) of a trained encoder by `order` (T,), with and without positions.

    Compared with a Conv1d of the same width, with random weights, over the same embeddings. All in float64.
    """
    model = copy.deepcopy(encoder).double()
    C = model.config.n_embd
    kernel = torch.randn(C, C, 3, generator=generator, dtype=torch.float64)

    def attended(ids: Tensor) -> Tensor:
        with record(model, "norm_f") as seen:
            model.trunk(ids)
        return seen["norm_f"]  # (1, T, C)

    def convolved(ids: Tensor) -> Tensor:
        return F.conv1d(model.wte(ids).mT, kernel, padding=1).mT  # (1, T, C)

    def difference(f: Callable[[Tensor], Tensor]) -> float:
        right = f(tokens)[:, order]
        return ((f(tokens[:, order]) - right).norm() / right.norm()).item()

    with_positions = difference(attended)
    model.rope = model.wpe = None
    return Permuted(with_positions, difference(attended), difference(convolved))


@dataclass(frozen=True)
class Edges:
    """Weights of the head with the largest change between two texts: row t gathers from columns."""

    layer: int
    head: int
    weights: Tensor
    """(2, T, T)."""

    @property
    def moved(self) -> float:
        """Share of attention that differs in the other text, over all rows but the first."""
        return (self.weights[0] - self.weights[1]).abs().sum(-1)[1:].mean().item() / 2


@torch.no_grad()
def edges(model: Model, tokens: Tensor) -> Edges:
    """Find the head with the largest change of weights between two texts (2, T)."""
    with record(model, "blocks.*.attn.weights") as seen:
        model.trunk(tokens)
    weights = torch.stack(list(seen.values()))  # (L, 2, H, T, T)
    moved = (weights[:, 0] - weights[:, 1]).abs().sum((-1, -2))  # (L, H)
    layer, head = divmod(int(moved.argmax()), moved.shape[1])
    return Edges(layer, head, weights[layer, :, head])


def encoding_demo(context: ChapterContext) -> Demo:
    """Return the user's encoder or translator if it has positions, or the built-in translator."""
    own = context.demo("seq2seq", "encoder", min_block=2)
    return own if own.model.config.position != "none" else ChapterContext(seed=context.seed).demo("seq2seq")


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    generator = context.generator()
    decoder, encoder = context.demo("gpt", min_block=2), encoding_demo(context)
    tokens = held_out(decoder, B, T, generator)
    labels = [token_labels(decoder.tokenizer, row) for row in tokens.tolist()]
    reach = influence(decoder.model, tokens, generator)  # (B, T, B, T)
    graph = edges(decoder.model, tokens[:2])
    read = held_out(encoder, 1, 2 * T, generator)
    order = _shuffled(read[0], generator)
    moved = permuted(encoder_of(encoder), read, order, generator)
    texts = ["".join(row).replace("\n", "⏎") for row in labels]
    letters = token_labels(encoder.tokenizer, read[0].tolist())

    body = (
        _(
            "Take each token as a node of a directed graph. In a layer of attention, every node gathers "
            "from the nodes that point to it: a weighted sum of their values. Three texts of {name} went "
            "through it as one batch. The next table shows the gradient of every output with respect to "
            "every input; it is exactly 0 if there is no path."
        ).format(name=decoder.name),
        Grid.of(
            _("gradient of the row's output with respect to the column's input"),
            texts,
            texts,
            reach.sum((1, 3)),
        ),
        _(
            "Nothing crosses the batch: each of the {B} texts is a separate graph, and the batch only lets "
            "the processor compute {B} graphs at once. A text has {n} edges: T(T + 1)/2 for T = {T}, since "
            "this is a decoder and no node receives from later ones."
        ).format(B=B, n=tokens.shape[1] * (tokens.shape[1] + 1) // 2, T=tokens.shape[1]),
        _(
            "The edges have weights, and the weights come from the data: query times key. In layer {layer}, "
            "head {head}, {moved:.0%} of the attention differs between the first two texts. The weights of "
            "a convolution are fixed, the same for each text."
        ).format(layer=graph.layer, head=graph.head, moved=graph.moved),
        *(
            Grid.of(
                _("weights: query (row), key (column), text {n}").format(n=i + 1),
                labels[i],
                labels[i],
                graph.weights[i],
            )
            for i in range(2)
        ),
        _(
            "A graph has no notion of space: nodes have neighbors but no positions. The encoder of {name} "
            "gets “{text}”, and then the same {T} tokens shuffled, “{shuffled}”. Without positional "
            "information its outputs are shuffled in the same way and do not change otherwise (relative "
            "difference {blind:.1e}: rounding). With positions they differ by {seen:.0%}. So a model needs "
            "positions to know the order. A convolution of the same width differs by {conv:.0%}: its "
            "weights belong to “one to the left”, “here” and “one to the right”, so it has space built in."
        ).format(
            name=encoder.name,
            text="".join(letters),
            shuffled="".join(letters[i] for i in order.tolist()),
            T=read.shape[1],
            blind=moved.without_positions,
            seen=moved.with_positions,
            conv=moved.convolution,
        ),
    )
    across = reach[~torch.eye(B, dtype=torch.bool)[:, None, :, None].expand_as(reach)]
    within = reach[torch.arange(B), :, torch.arange(B)]  # (B, T, T)
    findings = (
        Finding.near(_("largest gradient across the batch"), across.max().item(), 0.0, 0.0),
        Finding.near(
            _("largest gradient from a later position (decoder)"), within.triu(1).max().item(), 0.0, 0.0
        ),
        Finding.at_least(_("attention that differs in another text"), graph.moved, ROUNDING_32),
        Finding.at_most(_("encoder without positions, shuffled input"), moved.without_positions, ROUNDING),
        Finding.at_least(_("encoder with positions, shuffled input"), moved.with_positions, ROUNDING),
        Finding.at_least(_("convolution, shuffled input"), moved.convolution, ROUNDING),
    )

    def draw() -> Plot:
        from glassgpt.explain.pictures.graph import draw

        return draw(_, graph.weights, labels)

    return Chapter("graph", _(TITLE), body, findings, draw, _)


def _shuffled(ids: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random order of positions (T,) that changes the text."""
    order = torch.randperm(len(ids), generator=generator)
    return order if (ids[order] != ids).any() else torch.arange(len(ids)).flip(0)
