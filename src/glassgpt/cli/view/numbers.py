"""Tables of numbers in a terminal, with a lighter background for larger numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from glassgpt.lens import visible_label


def numbers_table(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    decimals: int,
    shade: bool = True,
) -> Table:
    """Return a table of a matrix with names. NaN leaves a cell empty."""
    table = Table(box=None, title=Text(title, "italic"), title_justify="left", pad_edge=False, padding=0)
    table.add_column("")
    for column in columns:
        table.add_column(Text(" " + visible_label(column), "dim"), justify="right")
    finite = [abs(v) for row in values for v in row if math.isfinite(v)]
    most = max(finite, default=0.0) or 1.0
    for name, row in zip(rows, values, strict=True):
        cells = [cell(v, decimals, abs(v) / most if shade else 0.0) for v in row]
        table.add_row(Text(visible_label(name) + " ", "dim"), *cells)
    return table


def cell(value: float, decimals: int, strength: float = 0.0) -> Text:
    """Return a number on a background. strength: 0 (no background) to 1."""
    if math.isnan(value):
        return Text("")
    if math.isinf(value):
        return Text(" −∞ " if value < 0 else " ∞ ", "dim")
    text = f" {value:.{decimals}f} "
    if strength < 0.05:
        return Text(text)
    level = round(40 + 150 * min(strength, 1.0))
    ink = "black" if level > 120 else "white"
    return Text(text, f"{ink} on rgb({level // 3},{level * 2 // 3},{level})")
