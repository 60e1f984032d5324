"""Slides: plots of 16:9 whose smallest text has 12 points on a slide of 13⅓ by 7.5 inches (1920 by 1080).

`slide_panels` gives axes for charts; a `Canvas` is drawn on in inches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import FancyArrowPatch, Rectangle

from glassgpt.plots.cells import Values, draw_hatch, inches
from glassgpt.plots.colors import OVERLAY, color, current, ink, scale
from glassgpt.plots.image import overlay
from glassgpt.plots.labels import broken_lines, shortened
from glassgpt.plots.numbers import Numbers, array, mask
from glassgpt.plots.style import Plot, drawing

WIDTH, HEIGHT = 40 / 3, 7.5
SMALLEST, BODY, HEADING, TITLE = 12.0, 14.0, 16.0, 22.0
"""Sizes of text in points."""
MARGIN = 0.35
GAP = 0.08
"""Between a matrix and its labels, inches."""
UPRIGHT = 0.5
"""Longest label of a column, inches."""
LINE_HEIGHT = 1.5 / 72
"""Height of a line for each point of its font, inches."""


@drawing
def slide_panels(
    count: int, *, title: str = "", down: int = 1, ratios: Sequence[float] | None = None
) -> tuple[Plot, list[Axes]]:
    """Return a slide with `count` axes in `down` rows. ratios: widths of the columns, by default equal."""
    plot = Plot(WIDTH, HEIGHT, cropped=False)
    if title:
        plot.suptitle(title, fontsize=_fitting_size(title, TITLE, WIDTH - 2 * MARGIN))
    across = -(-count // down)
    grid = plot.add_gridspec(down, across, width_ratios=ratios)
    return plot, [plot.add_subplot(grid[at // across, at % across]) for at in range(count)]


@dataclass(frozen=True)
class Box:
    """Place of a drawing, in inches from the top left corner of a slide."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def middle(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2


class Canvas:
    """Slide to draw on: all lengths are inches, from the top left corner."""

    @drawing
    def __init__(self, title: str) -> None:
        self.plot = Plot(WIDTH, HEIGHT, layout="none", cropped=False)
        self.axes = self.plot.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0), autoscale_on=False)
        self.axes.axis("off")
        self.ground, self.mark, self.faint = current().ground, current().mark, current().faint
        self.text(WIDTH / 2, 0.42, title, TITLE, room=WIDTH - 2 * MARGIN)

    @drawing
    def text(
        self, x: float, y: float, words: str, size: float = BODY, *, room: float | None = None, **options: Any
    ) -> None:
        """Write words around a point; options are those of matplotlib's Text.

        room: inches for the words; the font shrinks to fit, down to 12 points.
        """
        size = size if room is None else _fitting_size(words, size, room)
        placed: dict[str, Any] = {"ha": "center", "va": "center"}
        self.axes.text(x, y, words, fontsize=size, **(placed | options))

    def paragraph(self, x: float, top: float, words: str, width: float, size: float = BODY) -> float:
        """Write words from a corner in lines of a width. Return the place below them."""
        lines = broken_lines(words, width, size)
        for at, line in enumerate(lines):
            self.text(x, top + (at + 0.5) * size * LINE_HEIGHT, line, size, ha="left")
        return top + len(lines) * size * LINE_HEIGHT

    def rectangle(self, box: Box, fill: Any = "none", edge: str = "none", **options: Any) -> None:
        """Draw a rectangle in the place of a box; options are those of matplotlib's patches."""
        corner = (box.left, box.top)
        self.axes.add_patch(
            Rectangle(corner, box.width, box.height, facecolor=fill, edgecolor=edge, **options)
        )

    def line(self, x: Sequence[float], y: Sequence[float], **options: Any) -> None:
        """Draw a line through points; options are those of matplotlib's lines."""
        self.axes.plot(x, y, **({"color": current().faint, "linewidth": 1.0} | options))

    def arrow(self, start: tuple[float, float], end: tuple[float, float], tint: str, bend: float = 0) -> None:
        """Draw an arrow; bend: curvature, 0 for straight."""
        self.axes.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="-|>,head_length=7,head_width=3.5",
                connectionstyle=f"arc3,rad={bend}",
                color=tint,
                linewidth=1.8,
                shrinkA=0,
                shrinkB=0,
            )
        )

    @drawing
    def matrix(
        self,
        values: Numbers,
        left: float,
        top: float,
        cell: tuple[float, float],
        *,
        title: str = "",
        rows: Sequence[str] = (),
        columns: Sequence[str] = (),
        label_room: float | None = None,
        decimals: int | None = 2,
        marked: Numbers | None = None,
        limits: tuple[float, float] | None = None,
    ) -> Box:
        """Draw a matrix (rows, columns) of colored cells, and return the place of the cells.

        cell: width and height. decimals: of the numbers in cells, fewer if they do not fit; None for none.
        marked: of the shape of the values, True for framed cells. label_room: for labels of rows, by default
        up to the edge. limits: as in `heat_map`. NaN and infinite cells are hatched.
        """
        numbers = array(values, (2,), "values").copy()
        numbers[~np.isfinite(numbers)] = np.nan
        (down, across), (width, height) = numbers.shape, cell
        box = Box(left, top, across * width, down * height)
        colors, norm = scale(numbers, limits)
        self._cells(numbers, box, colors, norm)
        if decimals is not None:
            self._numbers(numbers, box, colors, norm, decimals)
        for row, column in np.argwhere(mask(marked, numbers.shape, "marked")):
            frame = Box(left + column * width, top + row * height, width, height)
            self.rectangle(frame, edge=current().mark, linewidth=2.5, zorder=2)
        room = box.left - GAP - MARGIN / 2 if label_room is None else label_room
        above = self._labels(box, shortened(rows, room), columns, cell)
        if title:
            self.text(box.middle[0], above - HEADING * LINE_HEIGHT / 2, title, HEADING)
        return box

    def _cells(self, values: Values, box: Box, colors: Colormap, norm: Normalize) -> None:
        rows, columns = values.shape
        if np.isnan(values).any():
            self.rectangle(box, fill=current().masked, zorder=0.3)
            draw_hatch(self.axes, box.left, box.top, box.width, box.height)
        self.axes.pcolormesh(
            np.linspace(box.left, box.right, columns + 1),
            np.linspace(box.top, box.bottom, rows + 1),
            np.ma.masked_invalid(values),
            cmap=colors,
            norm=norm,
            edgecolors=current().line,
            linewidth=0.6 if max(box.width / columns, box.height / rows) > 0.1 else 0.0,
        )
        self.axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
        self.rectangle(box, edge=current().faint, linewidth=0.8)

    def _numbers(self, values: Values, box: Box, colors: Colormap, norm: Normalize, decimals: int) -> None:
        height, width = box.height / len(values), box.width / values.shape[1]
        decimals = _fitting_decimals(values, decimals, 0.94 * width)
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                x, y = box.left + (column + 0.5) * width, box.top + (row + 0.5) * height
                self.text(x, y, number(value, decimals), SMALLEST, color=ink(colors(norm(value))))

    def _labels(
        self, box: Box, rows: Sequence[str], columns: Sequence[str], cell: tuple[float, float]
    ) -> float:
        """Write labels of rows and columns, those of columns shortened; return the place above them."""
        width, height = cell
        for at, name in enumerate(rows):
            self.text(box.left - GAP, box.top + (at + 0.5) * height, name, BODY, ha="right")
        if not columns:
            return box.top - GAP
        names = shortened(columns, UPRIGHT)
        wide = inches(names, BODY) > 0.95 * width
        for at, name in enumerate(names):
            x = box.left + (at + 0.5) * width
            self.text(x, box.top - GAP, name, BODY, va="bottom", rotation=90 if wide else 0)
        return box.top - GAP - (inches(names, BODY) if wide else BODY * LINE_HEIGHT)

    def color_bar(self, box: Box, title: str, largest: float = 1.0, *, of_image: bool = False) -> None:
        """Draw the colors of cells, or of patches of an image, from 0 to `largest`, and a title below."""
        colors = OVERLAY if of_image else current().sequential
        for at, shade in enumerate(colors(np.linspace(0, 1, 64))):
            part = Box(box.left + at * box.width / 64, box.top, box.width / 64 + 0.01, box.height)
            self.rectangle(part, fill=tuple(shade))
        self.rectangle(box, edge=current().faint, linewidth=0.8)
        for x, words in ((box.left, "0"), (box.middle[0], title), (box.right, f"{largest:.3g}")):
            self.text(x, box.bottom + 0.16, words, SMALLEST)

    def image(self, box: Box, pixels: Numbers, patches: Numbers | None = None) -> None:
        """Draw an image in its own colors, or in gray with attention (rows, columns of patches) in orange."""
        at = (box.left / WIDTH, 1 - box.bottom / HEIGHT, box.width / WIDTH, box.height / HEIGHT)
        overlay(self.plot.add_axes(at), pixels, patches)

    def color(self, index: int) -> str:
        """Return the color of a series."""
        return color(index)


def number(value: float, decimals: int) -> str:
    """Format a number with a true minus sign.

    >>> number(-0.5, 2), number(0, 1)
    ('−0.50', '0.0')
    """
    return f"{value:.{decimals}f}".replace("-", "−")


def _fitting_decimals(values: Values, decimals: int, room: float) -> int:
    """Return the number of decimals, or fewer, with which all numbers fit a room in inches."""
    shown = values[np.isfinite(values)]
    fits = (n for n in range(decimals, 0, -1) if inches([number(v, n) for v in shown], SMALLEST) <= room)
    return next(fits, 0)


def _fitting_size(words: str, size: float, room: float) -> float:
    """Return the font size at which words fit a room in inches."""
    return max(min(size, size * room / max(inches([words], size), 1e-9)), SMALLEST)
