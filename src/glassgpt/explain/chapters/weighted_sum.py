"""Chapter `weighted-sum`: what attention does with its weights, W @ x taken apart row by row.

W are the weights of a real head, x its values. Where the weights come from is the chapter `query-key`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext
from glassgpt.explain.heads import FAMILIES, Layer, Shown, largest_error, rounding, show

if TYPE_CHECKING:
    from glassgpt.plots import Plot

from glassgpt.lens import visible_label

TITLE = "W @ x: each output is a weighted sum of token vectors"

T = 8
COLUMNS = 7
"""Components of a vector that fit on a line of a terminal."""
ROUNDING = 1e-6
"""Of the largest value. A row is a sum of T ≤ 8 weights that sum to 1: the sum may be off by T·ε = 9.5e-7."""


def terms(w: Tensor, x: Tensor) -> Tensor:
    """The weighted token vectors of one output: w (T,), x (T, D) -> (T, D), whose sum is the output.

    >>> terms(torch.tensor([0.25, 0.75]), torch.tensor([[4.0, 8.0], [0.0, 4.0]]))
    tensor([[1., 2.],
            [0., 3.]])
    """
    return w[:, None] * x


def by_rows(W: Tensor, x: Tensor) -> Tensor:
    """W @ x with W split into rows and x kept whole: each row of W makes one row of the result.

    W: (T, S), x: (S, D) -> (T, D).
    """
    return torch.stack([terms(w, x).sum(0) for w in W])


def kernel_error(layers: list[Layer]) -> float:
    """How far W @ x lies from what the kernel gathered, over all heads: relative to the largest value."""
    worst = 0.0
    for layer in layers:
        difference = (layer.weights @ layer.v - layer.heads).abs().max()  # (H, T, T) @ (H, T, D)
        worst = max(worst, (difference / layer.v.abs().max()).item())
    return worst


def overshoot(layers: list[Layer]) -> float:
    """How far an output leaves the range of the values it averages, at most; of the largest value.

    Only values with a weight count: a decoder's later ones are not averaged.
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


def farthest_sum(layers: list[Layer]) -> float:
    """Of the sums of all rows of weights the one farthest from 1."""
    sums = torch.cat([layer.weights.sum(-1).flatten() for layer in layers])
    return sums[(sums - 1).abs().argmax()].item()


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """The chapter, computed now."""
    demo = context.demo(*FAMILIES)
    shown = show(demo, T, context.generator())
    W, x = shown.chosen.weights[shown.head], shown.chosen.v[shown.head]  # (T, T), (T, D)
    heads = sum(len(layer.v) for layer in shown.layers)
    w, label = W[shown.row], visible_label(shown.labels[shown.row])
    body = (
        _(
            "When a head knows how much each token matters to each other, it multiplies: W @ x. W (T, "
            "T) holds the weights, row t those of token t; x (T, D) holds one vector for each token, "
            "its value. Here are both, from layer {layer}, head {head} of {name}, on {T} tokens that "
            "training never saw."
        ).format(layer=shown.layer, head=shown.head, name=demo.name, T=len(W)),
        Grid.of(_("W, the weights: row t looks at column s"), shown.labels, shown.labels, W),
        _values(shown, x, _),
        _(
            "Split W into rows and keep x whole: each row of W makes one row of the result, and no "
            "other row has a part in it. Row {row}, of the token “{label}”, is the sum over all tokens "
            "of its weight times their vector. The largest share, {most:.0%}, comes from “{source}”."
        ).format(
            row=shown.row,
            label=label,
            most=w.max().item(),
            source=visible_label(shown.labels[int(w.argmax())]),
        ),
        _apart(shown, w, x, _),
        _(
            "The weights of a row are not negative and sum to 1, so the result is an average: no "
            "component of it leaves the range of what was averaged. With equal weights it would be the "
            "plain mean, in which every token counts the same; attention lets the tokens themselves "
            "set the weights."
        ),
        _(
            "The fast kernel never builds W. Yet in all {heads} heads of this model it gathers what W "
            "@ x gives, up to the rounding of float32."
        ).format(heads=heads),
    )
    return Chapter(
        "weighted-sum", _(TITLE), body, _findings(shown, W, x, _), lambda: _draw(_, shown, W, x), _
    )


def _findings(shown: Shown, W: Tensor, x: Tensor, _: Translate) -> tuple[Finding, ...]:
    apart = largest_error(by_rows(W, x), W @ x, rounding(W, x))
    return (
        Finding.near(
            _("sum of a row of weights, farthest from 1"), farthest_sum(shown.layers), 1.0, ROUNDING
        ),
        Finding.at_most(_("row by row ↔ W @ x, float roundings"), apart, 1.0),
        Finding.at_most(_("W @ x ↔ the kernel, of the largest value"), kernel_error(shown.layers), ROUNDING),
        Finding.at_most(
            _("output beyond its values, of the largest value"),
            overshoot(shown.layers),
            ROUNDING,
        ),
    )


def _values(shown: Shown, x: Tensor, _: Translate) -> Grid:
    """The first components of each token's vector."""
    columns = [str(i) for i in range(min(COLUMNS, x.shape[1]))]
    title = _("x, the values: the first {n} of {D} components").format(n=len(columns), D=x.shape[1])
    return Grid.of(title, shown.labels, columns, x[:, : len(columns)])


def _apart(shown: Shown, w: Tensor, x: Tensor, _: Translate) -> Grid:
    """One output as the sum of its terms, beside what the kernel gathered; no part in it: empty."""
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


def _draw(_: Translate, shown: Shown, W: Tensor, x: Tensor) -> Plot:
    """W, x and their product side by side; the row that the text takes apart is framed."""
    from glassgpt.plots import heat_map, panels

    n = min(T, x.shape[1])
    components, some = [str(i) for i in range(n)], x[:, :n]
    here = torch.zeros(len(W), 1, dtype=torch.bool)
    here[shown.row] = True
    reach = some.abs().max().item()
    limits = (-reach, reach)  # one scale for what goes in and what comes out
    part = "" if n == x.shape[1] else _(", components 0–{last}").format(last=n - 1)
    picture, axes = panels(3, size=(4.8, 4.6))
    heat_map(W, shown.labels, shown.labels, title="W", marked=here.expand_as(W), axes=axes[0])
    heat_map(some, shown.labels, components, title="x" + part, limits=limits, axes=axes[1])
    framed = here.expand_as(some)
    title = "W @ x" + part
    heat_map(W @ some, shown.labels, components, title=title, limits=limits, marked=framed, axes=axes[2])
    return picture
