"""Slide of `buffers`: the properties of a weight, a buffer and a plain attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glassgpt.explain.content import Translate
from glassgpt.plots import Box, Canvas, Plot

ROW, TOP = 0.78, 1.75


def draw(_: Translate, columns: Sequence[str], rows: Mapping[str, Sequence[bool]]) -> Plot:
    """Draw a row of ✓ and ✗ for each tensor, in the color of its kind."""
    canvas = Canvas(_("A buffer goes where the model goes, and is never trained"))
    size = 16
    left = 6.3
    width = (13.0 - left) / len(columns)
    for at, name in enumerate(columns):
        canvas.text(left + (at + 0.5) * width, TOP - 0.35, name, size)
    height = min(ROW, 5.3 / len(rows))
    for at, (name, marks) in enumerate(rows.items()):
        y = TOP + (at + 0.5) * height
        canvas.text(left - 0.2, y, name, size, room=left - 0.5, ha="right")
        for place, is_so in enumerate(marks):
            box = Box(left + place * width + 0.06, y - height / 2 + 0.06, width - 0.12, height - 0.12)
            if is_so:
                canvas.rectangle(box, fill=canvas.color(0), alpha=0.3)
            canvas.rectangle(box, edge=canvas.faint, linewidth=0.8)
            canvas.text(*box.middle, "✓" if is_so else "–", 20 if is_so else 14)
    return canvas.plot
