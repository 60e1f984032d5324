"""Values as rich renderables: charts and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from glassgpt.diagnose import BAR, Verdict
from glassgpt.language import _

BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the eight dots of a braille character, by row and column."""
MIN_WIDTH = 16
"""Least columns of a curve next to long labels."""
MODEL_STYLE = "bold cyan"
INTERVAL_STYLE = "magenta"


def chart(
    points: Sequence[tuple[float, float]],
    lines: Sequence[tuple[str, float]],
    width: int = 60,
    height: int = 10,
    faint: Sequence[tuple[float, float]] = (),
    interval: tuple[float, float] | None = None,
    most: int | None = None,
) -> Text:
    """Draw a curve in braille with labeled horizontal lines, on a logarithmic y axis.

    points: (x from 0 to 1, y > 0), joined by lines. lines: (label, y > 0). Labels follow at the right of
    `width` columns. faint: the points of another curve, drawn dimly behind the first and not joined.
    interval: (low, high) of a forecast for x = 1, drawn as a bar at the right end. most: columns of the whole
    chart; long labels make the curve narrower.
    """

    def level(y: float) -> float:
        return math.log(max(y, 1e-6))  # the loss on a text of one repeated character is 0

    values = [level(y) for _, y in (*points, *faint, *lines)] + [level(y) for y in interval or ()]
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def row(y: float) -> int:
        return round((high - level(y)) / span * (4 * height - 1))

    labels: dict[int, list[str]] = {}
    for label, y in lines:
        labels.setdefault(row(y) // 4, []).append(f"{label} {y:.2f}")
    texts = {i: ", ".join(found) for i, found in labels.items()}
    if most is not None:
        width = max(MIN_WIDTH, min(width, most - 2 - max(map(cell_len, texts.values()), default=0)))

    def drawn(points: Sequence[tuple[float, float]]) -> list[list[int]]:
        cells = [[0] * width for _ in range(height)]
        for x, y in points:
            column, dot = min(int(x * 2 * width), 2 * width - 1), row(y)
            cells[dot // 4][column // 2] |= DOTS[dot % 4][column % 2]
        return cells

    curve, behind = drawn(joined(points, 2 * width)), drawn(faint)
    text = Text()
    bar = range(row(interval[1]) // 4, row(interval[0]) // 4 + 1) if interval else ()
    for i in range(height):
        for cell, dim in zip(curve[i], behind[i], strict=True):
            mark = chr(BRAILLE + (cell or dim)) if cell or dim else "┄" if i in texts else " "
            text.append(mark, "cyan" if cell else "dim")
        text.append("┃ " if i in bar else "  ", INTERVAL_STYLE)
        text.append(texts.get(i, "") + "\n", "dim")
    return text


def joined(points: Sequence[tuple[float, float]], n: int) -> list[tuple[float, float]]:
    """Join points by lines, with about n points from x = 0 to 1.

    >>> joined([(0.0, 1.0), (0.5, 3.0)], n=4)
    [(0.0, 1.0), (0.25, 2.0), (0.5, 3.0)]
    """
    line = list(points[:1])
    for (x, y), (x2, y2) in pairwise(points):
        steps = max(1, round((x2 - x) * n))
        line += [(x + (x2 - x) * i / steps, y + (y2 - y) * i / steps) for i in range(1, steps + 1)]
    return line


def verdict_table(verdict: Verdict) -> Table:
    """Build a table of all rows, best first, with a bar for each and the model's row highlighted."""
    found = verdict.table()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for i, name in enumerate((*found.head, "")):
        table.add_column(_(name), justify="right" if 0 < i < len(found.head) else "left")
    for i, (row, length) in enumerate(zip(found.rows, found.bars, strict=True)):
        bar = "█" * round(BAR * (length or 0))
        table.add_row(*map(_, row), bar, style=MODEL_STYLE if i == found.model else "")
    return table
