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
        _(
            "Once a head has the weight of each token for each other token, it multiplies: W @ x. W (T, T) "
            "holds the weights, row t those of token t. x (T, D) holds one vector for each token, its "
            "value. The next tables show both, from layer {layer}, head {head} of {name}, on {T} held-out "
            "tokens."
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


def _findings(shown: HeadExample, W: Tensor, x: Tensor, _: Translate) -> tuple[Finding, ...]:
    apart = largest_error(by_rows(W, x), W @ x, rounding(W, x))
    return (
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
    """Draw W, x and their product, with a frame around the example row."""
    from glassgpt.plots import heat_map, panels

    n = min(T, x.shape[1])
    components, some = [str(i) for i in range(n)], x[:, :n]
    here = torch.zeros(len(W), 1, dtype=torch.bool)
    here[shown.row] = True
    reach = some.abs().max().item()
    limits = (-reach, reach)  # one scale for what goes in and what comes out
    part = "" if n == x.shape[1] else _(", components 0–{last}").format(last=n - 1)
    plot, axes = panels(3, size=(4.8, 4.6))
    heat_map(W, shown.labels, shown.labels, title="W", marked=here.expand_as(W), axes=axes[0])
    heat_map(some, shown.labels, components, title="x" + part, limits=limits, axes=axes[1])
    framed = here.expand_as(some)
    title = "W @ x" + part
    heat_map(W @ some, shown.labels, components, title=title, limits=limits, marked=framed, axes=axes[2])
    return plot
