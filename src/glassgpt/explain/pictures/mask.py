"""Slide of `mask`: who attends to whom, and the softmax of masked scores."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.plots import Canvas, Plot

CELL = (0.58, 0.295)
LEFT, TOP = (1.0, 7.6), (1.55, 4.85)


def draw(
    _: Translate,
    sources: Sequence[str],
    both: Tensor,
    labels: Sequence[str],
    past: Tensor,
    masked: Tensor,
    weights: Tensor,
) -> Plot:
    """Draw gradients of an encoder (S, S) and a decoder (T, T), and a head's masked scores and weights."""
    canvas = Canvas(_("The mask decides: an encoder attends to all tokens, a decoder to itself and the past"))
    panels = (
        (both, sources, _("encoder: gradient from column to row")),
        (past.masked_fill(past == 0, -float("inf")), labels, _("decoder: gradient, 0 where hatched")),
        (masked, labels, _("decoder: scores, −∞ where hatched")),
        (weights.masked_fill(masked.isinf(), -float("inf")), labels, _("decoder: weights, rows sum to 1")),
    )
    for at, (values, names, title) in enumerate(panels):
        down, across = divmod(at, 2)
        canvas.matrix(values, LEFT[across], TOP[down], CELL, title=title, rows=names, columns=names)
    return canvas.plot
