"""Slide of `weighted-sum`: the mean of the notes, and W @ x of a trained head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.plots import Box, Canvas, Plot

CELL = (0.56, 0.33)
SHOWN = 4
"""Components of a value."""
GAP = 0.55
"""Room for a sign between two matrices, inches."""


def draw(
    _: Translate,
    mean: Tensor,
    sequences: Tensor,
    labels: Sequence[str],
    W: Tensor,
    x: Tensor,
    row: int,
) -> Plot:
    """Draw mean (T, T) times each of the sequences (B, T, C), and W (T, T) times x (T, D)."""
    canvas = Canvas(_("W @ x: each row of the result is a weighted sum of the rows of x"))
    B, T, C = sequences.shape
    width = (T + 2 * C) * CELL[0] + 2 * GAP
    left = (40 / 3 - B * width - (B - 1) * 1.1) / 2
    for at, sequence in enumerate(sequences):
        names = (f"W ({T}, {T})", f"x[{at}] ({T}, {C})", f"W @ x[{at}]")
        _product(canvas, mean, sequence, left + at * (width + 1.1), 1.75, names)
    canvas.text(
        20 / 3,
        0.95,
        _("the notes' B, T, C = {B}, {T}, {C}: W averages each token with those before it").format(
            B=B, T=T, C=C
        ),
    )
    T, D = x.shape
    n = min(SHOWN, D)
    width = (T + 2 * n) * CELL[0] + 2 * GAP
    canvas.text(
        20 / 3,
        3.5,
        _("a trained head: the tokens themselves set the weights (components 0–{last} of {D})").format(
            last=n - 1, D=D
        ),
    )
    names = (f"W ({T}, {T})", f"x ({T}, {D})", "W @ x")
    _product(canvas, W, x[:, :n], (40 / 3 - width) / 2 + 0.3, 4.65, names, labels, row)
    return canvas.plot


def _product(
    canvas: Canvas,
    W: Tensor,
    x: Tensor,
    left: float,
    top: float,
    names: Sequence[str],
    labels: Sequence[str] = (),
    row: int | None = None,
) -> None:
    """Draw W @ x = result, with a frame around a row."""
    reach = x.abs().max().item()
    limits = (-reach, reach) if (x < 0).any() else (0.0, reach)
    first = canvas.matrix(W, left, top, CELL, title=names[0], rows=labels, columns=labels)
    second = canvas.matrix(
        x, first.right + GAP, top, CELL, title=names[1], decimals=_decimals(x), limits=limits
    )
    third = canvas.matrix(W @ x, second.right + GAP, top, CELL, title=names[2], limits=limits)
    for box, sign in ((first, "@"), (second, "=")):
        canvas.text(box.right + GAP / 2, box.middle[1], sign, 22)
    if row is not None:
        for box in (first, third):
            frame = Box(box.left, box.top + row * CELL[1], box.width, CELL[1])
            canvas.rectangle(frame, edge=canvas.mark, linewidth=2.5, zorder=2)


def _decimals(x: Tensor) -> int:
    return 0 if torch.equal(x, x.round()) else 2
