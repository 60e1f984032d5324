"""Slide of `loss`: the first losses of new tables, and the uniform guess."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.plots import Plot, drawing, lines, slide_panels

GRAY = "#808080A0"


@drawing
def draw(
    _: Translate,
    losses: Tensor,
    n_targets: int,
    uniform: float,
    notes: float,
    expected: float,
    noise: float,
) -> Plot:
    """Draw the distribution of losses (n_tables,), the normal curve of theory, and three marks."""
    counts, edges = np.histogram(losses.numpy(), bins=24, range=(4.0, 5.4), density=True)
    x = np.linspace(edges[0], edges[-1], 200)
    normal = np.exp(-(((x - expected) / noise) ** 2) / 2) / (noise * math.sqrt(2 * math.pi))
    top = 1.1 * max(counts.max(), normal.max())
    marks = {
        _("a uniform guess: {loss:.2f}"): uniform,
        _("expected for a new table: {loss:.2f}"): expected,
        _("the batch of the notes: {loss:.2f}"): notes,
    }
    title = _("A new table costs more than a uniform guess: random logits are confidently wrong")
    plot, (axes,) = slide_panels(1, title=title)
    batches = _("{n_tables} new tables, a batch of {n} tokens each").format(n_tables=len(losses), n=n_targets)
    axes.stairs(counts, edges, fill=True, color=GRAY, label=batches)
    lines(
        {name.format(loss=at): ([at, at], [0.0, top]) for name, at in marks.items()},
        expected={_("theory: normal curve, standard error {noise:.2f}").format(noise=noise): (x, normal)},
        x_title=_("loss of the batch, nats"),
        y_title=_("density"),
        axes=axes,
    )
    for mark in axes.lines:
        mark.set_marker("none")
    axes.set_ylim(0.0, 1.55 * top)  # room for the legend
    axes.legend(loc="upper right", fontsize=14)
    return plot
