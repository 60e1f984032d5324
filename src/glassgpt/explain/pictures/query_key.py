"""Slide of `query-key`: a row of Q meets a column of Kᵀ in a cell of the result."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.plots import Box, Canvas, Plot, shortened

HEIGHT, WIDTH = 0.33, 0.6
"""Size of a cell of the result, inches."""
TOP, LEFT = 1.6, 1.35


def draw(_: Translate, labels: Sequence[str], q: Tensor, k: Tensor, row: int, column: int) -> Plot:
    """Draw Q (T, D) to the left of the result, Kᵀ (D, T) above it, and one pair in frames."""
    T, D = q.shape
    product = q @ k.mT
    names = shortened(labels, 0.92 * WIDTH)
    canvas = Canvas(_("Q @ Kᵀ: every query meets every key"))
    wide, tall = 4.4 / max(D, 11), 2.55 / max(D, 11)
    across, down = LEFT + D * wide + 0.4, TOP + D * tall + 0.35
    queries = canvas.matrix(
        q, LEFT, down, (wide, HEIGHT), decimals=None, rows=[f"q{t} {name}" for t, name in enumerate(names)]
    )
    keys = canvas.matrix(
        k.mT,
        across,
        TOP,
        (WIDTH, tall),
        decimals=None,
        title=_("Kᵀ ({D}, {T}): a key in each column").format(D=D, T=T),
        columns=[f"k{s}" for s in range(T)],
    )
    digits = 1 if product.abs().max() < 99 else 0
    result = canvas.matrix(product, across, down, (WIDTH, HEIGHT), decimals=digits)
    canvas.text(queries.middle[0], down - 0.22, _("Q ({T}, {D}): a query in each row").format(T=T, D=D), 16)
    canvas.text(result.right + 0.15, result.middle[1], f"Q @ Kᵀ\n({T}, {T})", 16, ha="left")
    for at, name in enumerate(names):
        canvas.text(result.left + (at + 0.5) * WIDTH, result.bottom + 0.17, name)
    _frame_pair(canvas, queries, keys, result, row, column)
    value = f"{product[row, column].item():.1f}".replace("-", "−")
    canvas.text(LEFT + 2.2, TOP + 0.3, f"q{row} · k{column} = {value}", 22, color=canvas.mark)
    said = _(
        "Row {row} of Q meets column {column} of Kᵀ: multiply the {D} pairs of numbers and add them. The "
        "sum goes into the cell where the row and the column cross."
    )
    canvas.paragraph(LEFT - 0.4, TOP + 0.7, said.format(row=row, column=column, D=D), 4.6, 16)
    return canvas.plot


def _frame_pair(canvas: Canvas, queries: Box, keys: Box, result: Box, row: int, column: int) -> None:
    """Frame a query, a key and their cell, and join them."""
    y, x = result.top + row * HEIGHT, result.left + column * WIDTH
    frames = (
        Box(queries.left, y, queries.width, HEIGHT),
        Box(x, keys.top, WIDTH, keys.height),
        Box(x, y, WIDTH, HEIGHT),
    )
    for frame in frames:
        canvas.rectangle(frame, edge=canvas.mark, linewidth=2.5, zorder=3)
    canvas.arrow((queries.right, y + HEIGHT / 2), (result.left, y + HEIGHT / 2), canvas.mark)
    canvas.arrow((x + WIDTH / 2, keys.bottom), (x + WIDTH / 2, result.top), canvas.mark)
