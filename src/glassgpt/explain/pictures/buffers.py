"""Slide of `buffers`: the properties of a weight, a buffer and a plain attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glassgpt.explain.content import Translate
from glassgpt.plots import Box, Canvas, Plot
from glassgpt.plots.cells import inches
from glassgpt.plots.colors import color

ROW, TOP = 0.78, 1.75


def draw(_: Translate, columns: Sequence[str], rows: Mapping[str, Sequence[bool]]) -> Plot:
    """Draw a row of ✓ and ✗ for each tensor, in the color of its kind."""
    canvas = Canvas(_("A buffer goes where the model goes, and is never trained"))
    size = 16
    left = min(max(inches([*rows], size) + 0.8, 4.5), 8.2)
    width = (13.0 - left) / len(columns)
    for at, name in enumerate(columns):
        canvas.text(left + (at + 0.5) * width, TOP - 0.35, name, size)
    height = min(ROW, 5.3 / len(rows))
    for at, (name, marks) in enumerate(rows.items()):
        y = TOP + (at + 0.5) * height
        shown = min(size, size * (left - 0.6) / max(inches([name], size), 0.1))
        canvas.text(left - 0.2, y, name, max(shown, 12), ha="right")
        for place, is_so in enumerate(marks):
            box = Box(left + place * width + 0.06, y - height / 2 + 0.06, width - 0.12, height - 0.12)
            if is_so:
                canvas.rectangle(box, fill=color(0), alpha=0.3)
            canvas.rectangle(box, edge=canvas.faint, linewidth=0.8)
            canvas.text(*box.middle, "✓" if is_so else "–", 20 if is_so else 14)
    return canvas.plot
