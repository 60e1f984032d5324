"""Slide of `graph`: a batch as separate graphs, and a convolution next to attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.lens import visible_label
from glassgpt.plots import Plot, attention_graph, drawing, fitting_tokens, slide_panels

PANEL = 5.0
"""Width of a panel for graphs, inches."""
KERNEL = (0.25, 0.5, 0.25)
"""Fixed weights of the left neighbor, the token itself and the right one: an example."""


@drawing
def draw(_: Translate, weights: Tensor, labels: Sequence[Sequence[str]]) -> Plot:
    """Draw attention weights (B, T, T) of texts as graphs, and a convolution over the same texts."""
    B = len(weights)
    title = _("A batch is separate graphs: nothing crosses from one text to another")
    plot, axes = slide_panels(2 * B, down=B, title=title)
    attention = _("text {n}, attention: weights by content")
    convolution = _("text {n}, convolution: weights by distance")
    for at in range(B):
        names = fitting_tokens([visible_label(label, 8) for label in labels[at]], PANEL)
        T = len(names)
        attention_graph(weights[at, :T, :T], names, title=attention.format(n=at + 1), axes=axes[2 * at])
        attention_graph(
            band(T), names, by_distance=True, title=convolution.format(n=at + 1), axes=axes[2 * at + 1]
        )
    for each in axes:
        each.set_anchor("N")  # titles side by side are level
    return plot


def band(T: int) -> Tensor:
    """Return the weights (T, T) of a convolution with three weights.

    >>> band(2)
    tensor([[0.5000, 0.2500],
            [0.2500, 0.5000]])
    """
    left, here, right = KERNEL
    return here * torch.eye(T) + left * torch.ones(T - 1).diag(-1) + right * torch.ones(T - 1).diag(1)
