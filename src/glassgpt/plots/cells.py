"""A matrix of colored cells with labels on both sides: what heat maps, grids of heads and the logit
lens share.
"""

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

from glassgpt.plots.colors import FAINT, HATCH, LINE, MARK, MASKED, ink
from glassgpt.plots.fonts import POINTS
from glassgpt.plots.fonts import width as ems
from glassgpt.plots.style import picture_of

SLANTED = 26  # columns, at most, whose labels are slanted; beyond, slanted labels touch each other
BESIDE_AXES = 0.75  # the part of given axes that is left for cells beside labels and color bar
SMALLEST = 4.5  # points; what is smaller is gray dust on a projector

Values = NDArray[np.float64]


def inches(texts: Sequence[str], font: float) -> float:
    """The width of the widest of `texts` in a font of so many points."""
    return max(map(ems, texts), default=0.0) * font / POINTS


def inches_across(axes: Axes) -> float:
    """The width of axes as they were made, before labels took their part."""
    return axes.get_position().width * picture_of(axes).get_size_inches()[0]


def inches_down(axes: Axes) -> float:
    """Their height."""
    return axes.get_position().height * picture_of(axes).get_size_inches()[1]


def draw_cells(axes: Axes, values: Values, colors: Colormap, norm: Normalize, cell: float) -> None:
    """One colored square or box for each value, the first row on top; what is NaN stays hatched.

    cell: the height of a cell in inches, which decides how thick the lines between cells are.
    """
    rows, columns = values.shape
    if not np.isfinite(values).all():
        _hatch(axes, rows, columns, 0.09 / cell)
    axes.pcolormesh(
        np.ma.masked_invalid(values),
        cmap=colors,
        norm=norm,
        edgecolors=LINE,
        linewidth=min(0.6, 1.5 * cell),
        antialiased=True,
    )
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    axes.spines[:].set(visible=True, color=FAINT, linewidth=0.8)
    axes.tick_params(length=0)


def _hatch(axes: Axes, rows: int, columns: int, step: float) -> None:
    """Slanted lines on gray, under the cells. Matplotlib's own are a pattern: black in some viewers."""
    axes.patch.set_facecolor(MASKED)
    starts = np.arange(0, rows + columns, step)
    ends = [[(at - y, y) for y in (max(0.0, at - columns), min(at, rows))] for at in starts]
    lines = Path([point for pair in ends for point in pair], [Path.MOVETO, Path.LINETO] * len(ends))
    axes.add_patch(PathPatch(lines, fill=False, edgecolor=HATCH, linewidth=0.6, zorder=0.5))


def name_rows(axes: Axes, names: Sequence[str], font: float) -> None:
    """Labels at the left, one beside each row."""
    axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=font)


def name_columns(axes: Axes, names: Sequence[str], font: float, width: float) -> None:
    """Labels on top, over columns of `width` inches: level where they fit, else slanted or on end."""
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
    """One text in the middle of each cell that has a value, dark on light and light on dark."""
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
    """A thick frame around each marked cell."""
    for row, column in np.argwhere(marked):
        width = float(np.clip(6 * cell, 0.8, 2.5))
        frame = Rectangle((column, row), 1, 1, fill=False, edgecolor=MARK, linewidth=width, zorder=3)
        axes.add_patch(frame)


def color_bar(axes: Axes | list[Axes], colors: Colormap, norm: Normalize, title: str = "") -> None:
    """The key to the colors, at the right of `axes`."""
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
    bar.outline.set(linewidth=0.5, edgecolor=FAINT)  # pyright: ignore[reportCallIssue]
    bar.ax.tick_params(labelsize=10)
    bar.set_label(title)
