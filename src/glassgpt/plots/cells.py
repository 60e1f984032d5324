"""Matrix of colored cells with labels: the base of heat maps, head grids and the logit lens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from glassgpt.plots.colors import current, ink
from glassgpt.plots.fonts import POINTS
from glassgpt.plots.fonts import width as ems
from glassgpt.plots.style import plot_of

SLANTED = 26  # columns with slanted labels, at most; more would overlap
BESIDE_AXES = 0.75  # share of given axes for the cells; the rest is for labels and color bar
SMALLEST = 4.5  # points; a smaller font cannot be read on a projector

Values = NDArray[np.float64]


def inches(texts: Sequence[str], font: float) -> float:
    """Return the width of the widest text, in inches, for a font size in points."""
    return max(map(ems, texts), default=0.0) * font / POINTS


def inches_across(axes: Axes) -> float:
    """Return the width of axes, in inches, before labels take their part."""
    return axes.get_position().width * plot_of(axes).get_size_inches()[0]


def inches_down(axes: Axes) -> float:
    """Return the height of axes, in inches, before labels take their part."""
    return axes.get_position().height * plot_of(axes).get_size_inches()[1]


def draw_cells(axes: Axes, values: Values, colors: Colormap, norm: Normalize, cell: float) -> None:
    """Draw a colored box for each value, the first row on top; NaN is hatched.

    cell: the height of a cell in inches; it sets the thickness of the lines between cells.
    """
    rows, columns = values.shape
    if not np.isfinite(values).all():
        axes.patch.set_facecolor(current().masked)
        draw_hatch(axes, 0, 0, columns, rows, 0.09 / cell)
    axes.pcolormesh(
        np.ma.masked_invalid(values),
        cmap=colors,
        norm=norm,
        edgecolors=current().line,
        linewidth=min(0.6, 1.5 * cell),
        antialiased=True,
    )
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    axes.spines[:].set(visible=True, color=current().faint, linewidth=0.8)
    axes.tick_params(length=0)


def draw_hatch(axes: Axes, left: float, top: float, width: float, height: float, step: float = 0.09) -> None:
    """Draw slanted lines over a rectangle.

    Matplotlib's hatches are a pattern, black in some viewers.
    """
    starts = np.arange(0, width + height, step)
    ends = [[(at - y, y) for y in (max(0.0, at - width), min(at, height))] for at in starts]
    lines = Path(
        [(left + x, top + y) for pair in ends for x, y in pair], [Path.MOVETO, Path.LINETO] * len(ends)
    )
    axes.add_patch(PathPatch(lines, fill=False, edgecolor=current().hatch, linewidth=0.6, zorder=0.5))


def name_rows(axes: Axes, names: Sequence[str], font: float) -> None:
    """Write a label to the left of each row."""
    axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=font)


def name_columns(axes: Axes, names: Sequence[str], font: float, width: float) -> None:
    """Write labels over columns of `width` inches: level, or slanted or vertical to fit."""
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    turned: dict[str, Any] = {}
    if inches(names, font) > 0.95 * width:
        slanted = {"rotation": 45, "ha": "left", "va": "bottom", "rotation_mode": "anchor"}
        turned = slanted if len(names) <= SLANTED else {"rotation": 90}
        axes.tick_params(axis="x", pad=1 if turned is slanted else 2)
    axes.set_xticks(np.arange(len(names)) + 0.5, names, fontsize=font, **turned)


def write_in_cells(
    axes: Axes,
    texts: list[list[str]],
    values: Values,
    colors: Colormap,
    norm: Normalize,
    font: float,
) -> None:
    """Write a text into each cell with a value, dark on light and light on dark."""
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            tint = ink(colors(norm(value)))
            axes.text(
                column + 0.5,
                row + 0.5,
                texts[row][column],
                fontsize=font,
                color=tint,
                ha="center",
                va="center",
            )


def outline(axes: Axes, marked: NDArray[np.bool_], cell: float) -> None:
    """Draw a thick frame around each marked cell."""
    for row, column in np.argwhere(marked):
        width = float(np.clip(6 * cell, 0.8, 2.5))
        frame = Rectangle(
            (column, row), 1, 1, fill=False, edgecolor=current().mark, linewidth=width, zorder=3
        )
        axes.add_patch(frame)


def color_bar(axes: Axes | list[Axes], colors: Colormap, norm: Normalize, title: str = "") -> None:
    """Draw the color scale, to the right of `axes`."""
    first = axes[0] if isinstance(axes, list) else axes
    figure = first.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(
        ScalarMappable(norm, colors),
        ax=axes,
        aspect=50 if isinstance(axes, list) else 28,
        fraction=0.05,
        pad=0.02,
        ticks=MaxNLocator(6),
    )
    bar.outline.set(linewidth=0.5, edgecolor=current().faint)  # pyright: ignore[reportCallIssue]
    bar.ax.tick_params(labelsize=10)
    bar.set_label(title)
