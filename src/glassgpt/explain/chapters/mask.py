"""Chapter `mask`: an encoder looks at all tokens, a decoder only at itself and the past.

The one difference between the two is a mask on the scores; what it costs and gives is measured here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext
from glassgpt.explain.influence import held_out, influence, reader
from glassgpt.hooks import edit, record
from glassgpt.lens import token_labels
from glassgpt.models import Model

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Encoder and decoder: who may look at whom"

T = 8
ROUNDING_32 = 1e-5
"""Sums of T weights between 0 and 1 in float32, computed in two ways."""
ROUNDING_64 = 1e6 * torch.finfo(torch.float64).eps
"""Logits in float64, computed in two ways: ε times terms, layers and gains."""


@dataclass(frozen=True)
class Head:
    """One head before and after the mask: each (T, T), row t what position t looks at."""

    layer: int
    head: int
    scores: Tensor
    masked: Tensor
    weights: Tensor

    @property
    def renormalized(self) -> Tensor:
        """The softmax of all scores, what lies in the future dropped, each row brought back to 1."""
        kept = self.scores.softmax(-1).tril()
        return kept / kept.sum(-1, keepdim=True)


@torch.no_grad()
def watch(model: Model, tokens: Tensor) -> Head:
    """Of all heads the one whose weights are spread most evenly (greatest entropy). tokens: (1, T)."""
    with record(model, [f"blocks.*.attn.{name}" for name in ("scores", "masked_scores", "weights")]) as seen:
        model.trunk(tokens)
    weights = torch.cat(
        [seen[f"blocks.{i}.attn.weights"] for i in range(model.config.n_layer)]
    )  # (L, H, T, T)
    spread = torch.special.entr(weights).sum((-1, -2))  # (L, H)
    layer, head = divmod(int(spread.argmax()), weights.shape[1])
    parts = (seen[f"blocks.{layer}.attn.{name}"][0, head] for name in ("scores", "masked_scores", "weights"))
    return Head(layer, head, *parts)


@contextmanager
def unmasked(model: Model) -> Iterator[None]:
    """Let every head look at everything inside the block: the scores go on as they were before the
    mask."""
    before: list[Tensor] = []

    def keep(scores: Tensor) -> Tensor:
        before.append(scores)
        return scores

    changes = {"blocks.*.attn.scores": keep, "blocks.*.attn.masked_scores": lambda _: before.pop()}
    with edit(model, changes):
        yield


@torch.no_grad()
def prefixes(model: Model, tokens: Tensor) -> float:
    """The largest difference between logits of one pass over (1, T) and of T passes over its beginnings.

    In float64, relative to the largest logit.
    """
    exact = copy.deepcopy(model).double()
    at_once = exact(tokens)[0]  # (T, V)
    one_by_one = torch.stack([exact(tokens[:, : t + 1])[0, -1] for t in range(tokens.shape[1])])
    return ((at_once - one_by_one).abs().max() / at_once.abs().max()).item()


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """The chapter, computed now."""
    generator = context.generator()
    decoder, encoder = context.demo("gpt"), context.demo("seq2seq", "encoder")
    text, source = held_out(decoder, 1, T, generator), held_out(encoder, 1, T, generator)
    past = influence(decoder.model, text, generator)[0, :, 0]  # (T, T)
    both = influence(reader(encoder), source, generator)[0, :, 0]  # (S, S)
    with unmasked(decoder.model):
        lifted = influence(decoder.model, text, generator)[0, :, 0]
    head = watch(decoder.model, text)
    labels = token_labels(decoder.tokenizer, text[0].tolist())
    source_labels = token_labels(encoder.tokenizer, source[0].tolist())
    n, hidden = len(labels), len(labels) * (len(labels) - 1) // 2

    body = (
        _(
            "Each table shows, by gradients, how much the row's output is moved by the column's input. "
            "An encoder ({encoder}) looks at all tokens: no cell is 0. A decoder ({decoder}) looks at "
            "itself and the past: the {hidden} cells above the diagonal, of {all}, are 0, exactly."
        ).format(encoder=encoder.name, decoder=decoder.name, hidden=hidden, all=n * n),
        Grid.of(_("encoder"), source_labels, source_labels, both),
        Grid.of(_("decoder"), labels, labels, past),
        _(
            "The causal mask does it. Here is layer {layer}, head {head}: the scores q·k/√d, the "
            "scores after the mask has put −∞ where the future is, and the weights, their softmax. "
            "exp(−∞) is 0, so what is hidden gets no weight, and the rest of each row still sums to 1. "
            "The first row has nothing but itself, hence its weight of 1."
        ).format(layer=head.layer, head=head.head),
        Grid.of(_("scores"), labels, labels, head.scores),
        Grid.of(_("scores after the mask"), labels, labels, head.masked),
        Grid.of(_("weights"), labels, labels, head.weights),
        _(
            "Why hide anything? A decoder has to say what comes next, and in training the next token "
            "stands right there in the input. With the mask, position t knows only the tokens up to t, "
            "as it will when it writes. So one pass over {n} tokens is {n} honest predictions at once, "
            "the same as {n} passes over longer and longer beginnings (logits differ by {prefix:.0e} "
            "of the largest: rounding). Take the mask off and the gradient from the token that is to "
            "be predicted is {leak:.2f} on average instead of 0: such a model would learn to copy the "
            "answer."
        ).format(n=n, prefix=(same := prefixes(decoder.model, text)), leak=_answer_gradient(lifted)),
        _(
            "The price: nothing that comes later helps to understand what came before. A reader of a "
            "whole text, such as the encoder of a translator, has no reason to pay it."
        ),
    )
    findings = (
        Finding.near(_("connected pairs, encoder"), _connected(both), len(source_labels) ** 2, 0),
        Finding.near(_("connected pairs, decoder"), _connected(past), n * n - hidden, 0),
        Finding.near(_("connected pairs, decoder without its mask"), _connected(lifted), n * n, 0),
        Finding.near(_("gradient from the token to predict"), _answer_gradient(past), 0.0, 0.0),
        Finding.near(_("largest weight on the future"), head.weights.triu(1).max().item(), 0.0, 0.0),
        Finding.near(
            _("sum of a row of weights, farthest from 1"), _farthest(head.weights.sum(-1)), 1.0, ROUNDING_32
        ),
        Finding.at_most(
            _("mask, then softmax ↔ softmax, then drop the future and renormalize"),
            (head.weights - head.renormalized).abs().max().item(),
            ROUNDING_32,
        ),
        Finding.at_most(_("one pass ↔ one pass for each beginning, logits"), same, ROUNDING_64),
    )

    def draw() -> Plot:
        from glassgpt.plots import heat_map, panels

        picture, axes = panels(4, across=2, size=(5.4, 4.8))
        heat_map(both, source_labels, source_labels, title=_("encoder: gradients"), axes=axes[0])
        heat_map(past, labels, labels, title=_("decoder: gradients"), hidden=past == 0, axes=axes[1])
        heat_map(head.masked, labels, labels, title=_("decoder: scores after the mask"), axes=axes[2])
        future = ~torch.ones(n, n).tril().bool()
        heat_map(head.weights, labels, labels, title=_("decoder: weights"), hidden=future, axes=axes[3])
        return picture

    return Chapter("mask", _(TITLE), body, findings, draw, _)


def _connected(gradients: Tensor) -> int:
    """Pairs between which there is a path."""
    return int((gradients > 0).sum())


def _answer_gradient(gradients: Tensor) -> float:
    """How much position t is moved by token t + 1, on average."""
    return gradients.diagonal(1).mean().item()


def _farthest(sums: Tensor) -> float:
    return sums[(sums - 1).abs().argmax()].item()
