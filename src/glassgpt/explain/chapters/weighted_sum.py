"""Chapter `weighted-sum`: W @ x, the output of attention, row by row.

W are the weights of a real head, x its values. The chapter `query-key` computes the weights.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext
from glassgpt.explain.heads import (
    FAMILIES,
    AttentionLayer,
    HeadExample,
    head_example,
    largest_error,
    rounding,
)

if TYPE_CHECKING:
    from glassgpt.plots import Plot

from glassgpt.lens import visible_label

TITLE = "W @ x: each output is a weighted sum of token vectors"

T = 8
NOTES = (2, 4, 2)
"""B, T, C of the notes."""
COLUMNS = 7
"""Components of a vector on a line of a terminal."""
ROUNDING = 1e-6
"""Tolerance relative to the largest value: a sum of T ≤ 8 weights may be off by T·ε = 9.5e-7."""


def terms(w: Tensor, x: Tensor) -> Tensor:
    """Return the weighted token vectors of one output: w (T,), x (T, D) -> (T, D).

    Their sum is the output.

    >>> terms(torch.tensor([0.25, 0.75]), torch.tensor([[4.0, 8.0], [0.0, 4.0]]))
    tensor([[1., 2.],
            [0., 3.]])
    """
    return w[:, None] * x


def by_rows(W: Tensor, x: Tensor) -> Tensor:
    """Compute W @ x, one row of W at a time.

    W: (T, S), x: (S, D) -> (T, D).
    """
    return torch.stack([terms(w, x).sum(0) for w in W])


def mean_of_past(T: int) -> Tensor:
    """Return the weights (T, T) of a plain mean over each token and those before it.

    >>> mean_of_past(2)
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]])
    """
    ones = torch.ones(T, T).tril()
    return ones / ones.sum(1, keepdim=True)


def notes_sequences() -> Tensor:
    """Return an example of x (B, T, C) in the shape of the notes: digits."""
    return torch.randint(10, NOTES, generator=torch.Generator().manual_seed(42)).float()


def uniform_attention(T: int) -> Tensor:
    """Return the softmax of scores that are 0, and −∞ for later tokens: (T, T)."""
    return torch.zeros(T, T).masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf).softmax(-1)


def kernel_error(layers: list[AttentionLayer]) -> float:
    """Return the largest difference of W @ x from the kernel, relative to the largest value."""
    worst = 0.0
    for layer in layers:
        difference = (layer.weights @ layer.v - layer.heads).abs().max()  # (H, T, T) @ (H, T, D)
        worst = max(worst, (difference / layer.v.abs().max()).item())
    return worst


def overshoot(layers: list[AttentionLayer]) -> float:
    """Return the largest distance of an output from the range of its values.

    Relative to the largest value. Only values with a positive weight count.
    """
    worst = 0.0
    for layer in layers:
        v = layer.v[:, None]  # (H, 1, T, D)
        counts = (layer.weights > 0)[..., None]  # (H, T, T, 1)
        top = v.where(counts, -math.inf).amax(-2)  # (H, T, D)
        bottom = v.where(counts, math.inf).amin(-2)
        beyond = torch.maximum(layer.heads - top, bottom - layer.heads).amax()
        worst = max(worst, (beyond / layer.v.abs().max()).item())
    return worst


def farthest_sum(layers: list[AttentionLayer]) -> float:
    """Return the sum of a row of weights farthest from 1."""
    sums = torch.cat([layer.weights.sum(-1).flatten() for layer in layers])
    return sums[(sums - 1).abs().argmax()].item()


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    demo = context.demo(*FAMILIES)
    shown = head_example(demo, T, context.generator())
    W, x = shown.chosen.weights[shown.head], shown.chosen.v[shown.head]  # (T, T), (T, D)
    heads = sum(len(layer.v) for layer in shown.layers)
    w, label = W[shown.row], visible_label(shown.labels[shown.row])
    body = (
        *_mean_of_notes(_),
        _(
            "Once a head has the weight of each token for each other token, it multiplies: W @ x. W (T, T) "
            "holds the weights, row t those of token t. x (T, D) holds one vector for each token, its "
            "value. The next tables show both, from layer {layer}, head {head} of {name} (both counted from "
            "0), on {T} held-out tokens."
        ).format(layer=shown.layer, head=shown.head, name=demo.name, T=len(W)),
        Grid.of(_("W, the weights: row t looks at column s"), shown.labels, shown.labels, W),
        _values(shown, x, _),
        _(
            "Split W into rows and keep x whole: each row of W gives one row of the result, independent of "
            "the other rows. Row {row}, of the token “{label}”, is the sum of all token vectors, each "
            "multiplied by its weight. The largest weight, {most:.0%}, is that of “{source}”."
        ).format(
            row=shown.row,
            label=label,
            most=w.max().item(),
            source=visible_label(shown.labels[int(w.argmax())]),
        ),
        _apart(shown, w, x, _),
        _(
            "The weights of a row are not negative and sum to 1, so the result is an average: no component "
            "leaves the range of the averaged values. With equal weights it would be the plain mean, where "
            "every token counts the same. In attention, the tokens themselves set the weights."
        ),
        _(
            "The fast kernel never builds W. Yet in all {heads} heads of this model its output equals W @ "
            "x, up to the rounding of float32."
        ).format(heads=heads),
    )
    return Chapter(
        "weighted-sum", _(TITLE), body, _findings(shown, W, x, _), lambda: _draw(_, shown, W, x), _
    )


def _mean_of_notes(_: Translate) -> tuple[str | Grid, ...]:
    """Return text and table about the plain mean, in the shapes of the notes."""
    B, T, C = NOTES
    x = notes_sequences()  # (B, T, C)
    said = _(
        "Start with the plain mean, in the shapes of the notes: B, T, C = {B}, {T}, {C}. Row t of W has "
        "1 / (t + 1) up to column t and 0 after it, so each token becomes the mean of itself and the tokens "
        "before it. One W serves both sequences: ({T}, {T}) @ ({B}, {T}, {C}) → ({B}, {T}, {C}). The softmax "
        "of a row of zeros, with −∞ for later tokens, is the same mean. Attention replaces the zeros by "
        "scores."
    ).format(B=B, T=T, C=C)
    names = [_("sequence {b}, token {t}").format(b=b, t=t) for b in range(B) for t in range(T)]
    columns = [f"x[{c}]" for c in range(C)] + [f"W @ x [{c}]" for c in range(C)]
    table = torch.cat([x, mean_of_past(T) @ x], dim=-1).flatten(0, 1)  # (B · T, 2C)
    return said, Grid.of(_("x and its means"), names, columns, table)


def _findings(shown: HeadExample, W: Tensor, x: Tensor, _: Translate) -> tuple[Finding, ...]:
    apart = largest_error(by_rows(W, x), W @ x, rounding(W, x))
    same = (uniform_attention(NOTES[1]) - mean_of_past(NOTES[1])).abs().max().item()
    return (
        Finding.at_most(_("softmax of masked zeros ↔ the plain mean"), same, ROUNDING),
        Finding.near(
            _("sum of a row of weights, farthest from 1"), farthest_sum(shown.layers), 1.0, ROUNDING
        ),
        Finding.at_most(_("row by row ↔ W @ x, float roundings"), apart, 1.0),
        Finding.at_most(_("W @ x ↔ the kernel, of the largest value"), kernel_error(shown.layers), ROUNDING),
        Finding.at_most(
            _("output outside the range of values, relative to the largest"),
            overshoot(shown.layers),
            ROUNDING,
        ),
    )


def _values(shown: HeadExample, x: Tensor, _: Translate) -> Grid:
    """Return a table of the first components of each value."""
    columns = [str(i) for i in range(min(COLUMNS, x.shape[1]))]
    title = _("x, the values: the first {n} of {D} components").format(n=len(columns), D=x.shape[1])
    return Grid.of(title, shown.labels, columns, x[:, : len(columns)])


def _apart(shown: HeadExample, w: Tensor, x: Tensor, _: Translate) -> Grid:
    """Return a table of one output as the sum of its terms, and the kernel's output."""
    n = min(COLUMNS, x.shape[1])
    parts = terms(w, x).masked_fill(w[:, None] == 0, math.nan)
    gathered = shown.chosen.heads[shown.head, shown.row]
    vectors = torch.cat([parts, parts.nansum(0)[None], gathered[None]])[:, :n]  # (T + 2, n)
    weights = torch.cat([w, w.sum()[None], torch.tensor([math.nan])])[:, None]
    return Grid.of(
        _("weight × vector, for row {row}").format(row=shown.row),
        [*shown.labels, _("their sum"), _("the kernel")],
        [_("weight"), *map(str, range(n))],
        torch.cat([weights, vectors], dim=1),
    )


def _draw(_: Translate, shown: HeadExample, W: Tensor, x: Tensor) -> Plot:
    """Draw the notes' mean and the head's product, with a frame around the example row."""
    from glassgpt.explain.pictures.weighted_sum import draw

    return draw(_, mean_of_past(NOTES[1]), notes_sequences(), shown.labels, W, x, shown.row)
