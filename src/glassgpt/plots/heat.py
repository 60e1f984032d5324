"""Attention weights as heat maps: one head, or all heads.

Rows are queries, columns are keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from glassgpt.errors import UserError
from glassgpt.plots.cells import (
    BESIDE_AXES,
    SMALLEST,
    color_bar,
    draw_cells,
    inches,
    inches_across,
    inches_down,
    name_columns,
    name_rows,
    outline,
    write_in_cells,
)
from glassgpt.plots.colors import scale
from glassgpt.plots.fonts import POINTS
from glassgpt.plots.labels import visible_labels
from glassgpt.plots.numbers import Numbers, array, mask
from glassgpt.plots.style import Plot, drawing, plot_of

WITH_NUMBERS = 12  # cells in a row with their numbers inside, at most


@drawing
def heat_map(
    weights: Numbers,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str = "",
    row_title: str = "",
    column_title: str = "",
    bar_title: str = "",
    cell_text: bool | None = None,
    hidden: Numbers | None = None,
    marked: Numbers | None = None,
    limits: tuple[float, float] | None = None,
    axes: Axes | None = None,
) -> Plot:
    """Draw weights (T, S): row t is a query, column s a key.

    rows: T labels; columns: S labels. hidden: (T, S), True for masked cells; these, NaN and infinite cells
    are hatched. marked: (T, S), True for framed cells. cell_text: write the numbers; by default up to 12 in a
    row. limits: the values of white and of the darkest color; by default 0 and the largest value. Negative
    values (scores) are orange. axes: where to draw; by default a new plot. Raises UserError if shapes and
    labels do not match.
    """
    values = array(weights, (2,), "weights").copy()
    values[mask(hidden, values.shape, "hidden") | ~np.isfinite(values)] = np.nan
    row_names = visible_labels(rows, len(values), "rows")
    column_names = visible_labels(columns, values.shape[1], "columns")
    written = cell_text if cell_text is not None else max(values.shape) <= WITH_NUMBERS
    if axes is None:
        cell = _cell(max(values.shape))
        axes = _fitting(values.shape, cell, row_names, column_names)
    else:
        cell = _cell_within(axes, values.shape)
    colors, norm = scale(values, limits)
    draw_cells(axes, values, colors, norm, cell)
    axes.set(aspect="equal", xlabel=column_title, ylabel=row_title, title=title)
    name_rows(axes, row_names, _font(cell))
    name_columns(axes, column_names, _font(cell), cell)
    if written:
        texts = [[_number(value) for value in row] for row in values]
        size = min(12.0, 0.84 * cell / inches([text for row in texts for text in row], 1.0))
        write_in_cells(axes, texts, values, colors, norm, size)
    else:
        color_bar(axes, colors, norm, bar_title)
    outline(axes, mask(marked, values.shape, "marked"), cell)
    return plot_of(axes)


@drawing
def head_grid(
    weights: Numbers,
    rows: Sequence[str],
    columns: Sequence[str],
    titles: Sequence[str] | None = None,
    *,
    title: str = "",
    bar_title: str = "",
    hidden: Numbers | None = None,
    limits: tuple[float, float] | None = None,
) -> Plot:
    """Draw a small heat map for each head, all on one scale.

    weights: (H, T, S) of one layer, or (L, H, T, S), a row for each layer. titles: one for each head, in
    order of layers. Labels too small to read are left out. hidden: (T, S), or of the shape of the weights.
    Raises UserError if shapes and labels do not match.
    """
    values = array(weights, (3, 4), "weights").copy()
    values[mask(hidden, values.shape, "hidden") | ~np.isfinite(values)] = np.nan
    across = values.shape[1] if values.ndim == 4 else math.ceil(math.sqrt(values.shape[0]))
    values = values.reshape(-1, *values.shape[-2:])  # ([L,] H, T, S) -> (L·H, T, S)
    if titles is not None and len(titles) != len(values):
        raise UserError(
            "{n_titles} titles for {n_values} heads: the numbers differ. Pass one for each.",
            n_titles=len(titles),
            n_values=len(values),
        )
    row_names = visible_labels(rows, values.shape[1], "rows")
    column_names = visible_labels(columns, values.shape[2], "columns")
    down = math.ceil(len(values) / across)
    side = float(np.clip(13 / across, 1.9, 3.2))
    cell = side / max(values.shape[1:])
    plot = Plot(across * side + 1.6, down * (values.shape[1] * cell + 0.35) + 0.8)
    colors, norm = scale(values, limits)
    panels = [plot.add_subplot(down, across, at + 1) for at in range(len(values))]
    for at, (axes, one) in enumerate(zip(panels, values, strict=True)):
        draw_cells(axes, one, colors, norm, cell)
        axes.set(aspect="equal", xticks=[], yticks=[])
        if _font(cell) >= SMALLEST + 0.5:
            if at % across == 0:
                name_rows(axes, row_names, _font(cell))
            if at < across:
                name_columns(axes, column_names, _font(cell), cell)
        axes.set_title(titles[at] if titles is not None else "", fontsize=11, pad=4)
    color_bar(panels, colors, norm, bar_title)
    plot.suptitle(title)
    return plot


def _cell(count: int) -> float:
    """Return the side of a cell, in inches: smaller for many cells, large enough for a label."""
    return float(np.clip(6.5 / count, 0.14, 0.62))


def _font(cell: float) -> float:
    return float(np.clip(0.62 * cell * POINTS, SMALLEST, 14.0))


def _fitting(shape: tuple[int, ...], cell: float, rows: Sequence[str], columns: Sequence[str]) -> Axes:
    """Return axes of a new plot with room for cells, labels, title and color bar."""
    font = _font(cell)
    width = 1.08 * shape[1] * cell + inches(rows, font) + 1.1
    height = shape[0] * cell + inches(columns, font) + 1.0
    return Plot(width, height).add_subplot()


def _cell_within(axes: Axes, shape: tuple[int, ...]) -> float:
    return BESIDE_AXES * min(inches_across(axes) / shape[1], inches_down(axes) / shape[0])


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if abs(value) < 99.5 else f"{value:.0f}".replace("-", "−")
