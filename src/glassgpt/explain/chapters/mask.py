"""Chapter `mask`: an encoder attends to all tokens, a decoder to itself and the past.

The only difference between the two is a mask on the scores. The chapter measures its cost and its benefit.
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
from glassgpt.explain.influence import encoder_of, held_out, influence
from glassgpt.hooks import edit, record
from glassgpt.lens import token_labels
from glassgpt.models import Model

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "Encoder and decoder: the mask decides"

T = 8
ROUNDING_32 = 1e-5
"""Tolerance of sums of T weights in float32."""
ROUNDING_64 = 1e6 * torch.finfo(torch.float64).eps
"""Tolerance of logits in float64: ε times terms, layers and gains."""


@dataclass(frozen=True)
class Head:
    """One head before and after the mask: each (T, T), row t for query t."""

    layer: int
    head: int
    scores: Tensor
    masked: Tensor
    weights: Tensor

    @property
    def renormalized(self) -> Tensor:
        """Softmax of all scores without the future, normalized again to rows of 1."""
        kept = self.scores.softmax(-1).tril()
        return kept / kept.sum(-1, keepdim=True)


@torch.no_grad()
def widest_head(model: Model, tokens: Tensor) -> Head:
    """Find the head with the most even weights (largest entropy). tokens: (1, T)."""
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
    """Remove the mask of every head inside the `with` block."""
    before: list[Tensor] = []

    def keep(scores: Tensor) -> Tensor:
        before.append(scores)
        return scores

    changes = {"blocks.*.attn.scores": keep, "blocks.*.attn.masked_scores": lambda _: before.pop()}
    with edit(model, changes):
        yield


@torch.no_grad()
def prefixes(model: Model, tokens: Tensor) -> float:
    """Compare the logits of one pass over (1, T) with T passes over its prefixes.

    Returns the largest difference in float64, relative to the largest logit.
    """
    exact = copy.deepcopy(model).double()
    at_once = exact(tokens)[0]  # (T, V)
    one_by_one = torch.stack([exact(tokens[:, : t + 1])[0, -1] for t in range(tokens.shape[1])])
    return ((at_once - one_by_one).abs().max() / at_once.abs().max()).item()


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    generator = context.generator()
    decoder = context.demo("gpt", min_block=2)
    encoder = context.demo("seq2seq", "encoder", min_block=2)
    text, source = held_out(decoder, 1, T, generator), held_out(encoder, 1, T, generator)
    past = influence(decoder.model, text, generator)[0, :, 0]  # (T, T)
    both = influence(encoder_of(encoder), source, generator)[0, :, 0]  # (S, S)
    with unmasked(decoder.model):
        lifted = influence(decoder.model, text, generator)[0, :, 0]
    head = widest_head(decoder.model, text)
    labels = token_labels(decoder.tokenizer, text[0].tolist())
    source_labels = token_labels(encoder.tokenizer, source[0].tolist())
    n, hidden = len(labels), len(labels) * (len(labels) - 1) // 2

    body = (
        _(
            "Each table shows the gradient of the row's output with respect to the column's input. An "
            "encoder ({encoder}) attends to all tokens: no cell is 0. A decoder ({decoder}) attends to "
            "itself and the past: {hidden} of {all} cells, those above the diagonal, are exactly 0."
        ).format(encoder=encoder.name, decoder=decoder.name, hidden=hidden, all=n * n),
        Grid.of(_("encoder"), source_labels, source_labels, both),
        Grid.of(_("decoder"), labels, labels, past),
        _(
            "The reason is the causal mask. The next tables show layer {layer}, head {head}: the scores "
            "q·k/√d, the scores with −∞ at future positions, and the weights, their softmax. exp(−∞) is 0, "
            "so masked positions get no weight, and each row still sums to 1. The first token can only "
            "attend to itself, so its weight is 1."
        ).format(layer=head.layer, head=head.head),
        Grid.of(_("scores"), labels, labels, head.scores),
        Grid.of(_("scores after the mask"), labels, labels, head.masked),
        Grid.of(_("weights"), labels, labels, head.weights),
        _(
            "The notes say that a decoder looks at T − 1 tokens. It is one more: position t looks at itself "
            "and at all positions before it. The diagonal shows it. The gradient of a token for itself is "
            "{own:.2f} or more here, not 0. A token that could not look at itself would leave the first row "
            "without any key, and a softmax of −∞ alone has no value. What is hidden is the token to predict."
        ).format(own=past.diagonal().min().item()),
        _(
            "Why mask anything? A decoder predicts the next token, and in training the next token is part "
            "of the input. With the mask, position t sees only the tokens up to t, as in generation. So one "
            "pass over {n} tokens gives {n} honest predictions at once, the same as {n} passes over longer "
            "and longer prefixes (logits differ by {prefix:.1g} of the largest: rounding). Without the "
            "mask, the gradient from the token to predict is {leak:.2f} on average instead of 0: such a "
            "model would learn to copy the answer."
        ).format(n=n, prefix=(same := prefixes(decoder.model, text)), leak=_answer_gradient(lifted)),
        _(
            "The price: later tokens cannot help to understand earlier ones. A model that gets the whole "
            "text at once, such as the encoder of a translator, has no reason to pay it."
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
        from glassgpt.explain.pictures.mask import draw

        return draw(_, source_labels, both, labels, past, head.masked, head.weights)

    return Chapter("mask", _(TITLE), body, findings, draw, _)


def _connected(gradients: Tensor) -> int:
    """Count the pairs with a path between them."""
    return int((gradients > 0).sum())


def _answer_gradient(gradients: Tensor) -> float:
    """Return the mean gradient of position t for token t + 1."""
    return gradients.diagonal(1).mean().item()


def _farthest(sums: Tensor) -> float:
    return sums[(sums - 1).abs().argmax()].item()
