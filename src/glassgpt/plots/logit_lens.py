"""Logit lens as a table: the predicted token at each layer and position, colored by probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from glassgpt.errors import UserError
from glassgpt.lens import visible_label
from glassgpt.plots.cells import (
    BESIDE_AXES,
    SMALLEST,
    color_bar,
    draw_cells,
    inches,
    inches_across,
    name_columns,
    name_rows,
    outline,
    write_in_cells,
)
from glassgpt.plots.colors import scale
from glassgpt.plots.labels import visible_labels
from glassgpt.plots.numbers import Numbers, array, mask
from glassgpt.plots.style import Plot, drawing, plot_of

LARGEST = 12.0  # font size
HEIGHT = 0.42  # of a cell with the largest font, inches
MARGIN = 0.14  # left and right of the text together, inches
LONGEST = 10  # columns of text in a cell
WIDEST = 13.0  # inches of all cells together, at most; the font shrinks to fit


@drawing
def logit_lens_table(
    tokens: Sequence[Sequence[str]],
    probabilities: Numbers,
    columns: Sequence[str],
    rows: Sequence[str],
    *,
    title: str = "",
    row_title: str = "",
    column_title: str = "",
    bar_title: str = "",
    marked: Numbers | None = None,
    axes: Axes | None = None,
) -> Plot:
    """Draw a table with a row for each layer and a column for each input token.

    tokens, probabilities: (layers, T), the predictions and their probabilities. columns: T labels. rows:
    names of layers, the first on top. marked: (layers, T), True for framed cells. Raises UserError if shapes
    and labels do not match.
    """
    values = array(probabilities, (2,), "probabilities")
    if [len(row) for row in tokens] != [values.shape[1]] * len(values):
        raise UserError(
            "tokens: the shape differs from that of probabilities, {shape}. Pass one string for each.",
            shape=values.shape,
        )
    row_names = visible_labels(rows, len(values), "rows")
    column_names = visible_labels(columns, values.shape[1], "columns")
    texts = [[visible_label(token, LONGEST) for token in row] for row in tokens]
    room = WIDEST if axes is None else BESIDE_AXES * inches_across(axes)
    font, width = _fit([text for row in texts for text in row], room / values.shape[1])
    height = HEIGHT * font / LARGEST
    if axes is None:
        side, top = inches(row_names, font), inches(column_names, font)
        axes = Plot(
            1.08 * values.shape[1] * width + side + 1.2, len(values) * height + top + 1.0
        ).add_subplot()
    colors, norm = scale(values, (0.0, 1.0))
    draw_cells(axes, values, colors, norm, height)
    axes.set(aspect=height / width, xlabel=column_title, ylabel=row_title)
    name_rows(axes, row_names, font)
    name_columns(axes, column_names, font, width)
    write_in_cells(axes, texts, values, colors, norm, font)
    outline(axes, mask(marked, values.shape, "marked"), height)
    color_bar(axes, colors, norm, bar_title)
    axes.set_title(title)
    return plot_of(axes)


def _fit(texts: Sequence[str], room: float) -> tuple[float, float]:
    """Return the font size and the cell width for texts in cells of at most `room` inches."""
    wanted = inches(texts, LARGEST) + MARGIN
    font = float(np.clip(LARGEST * (room - MARGIN) / (wanted - MARGIN), SMALLEST, LARGEST))
    return font, max(inches(texts, font) + MARGIN, HEIGHT * font / LARGEST)
