"""Slide of `qkv`: one product to scale, with the sizes of the notes."""

from __future__ import annotations

from glassgpt.explain.content import Translate
from glassgpt.plots import Box, Canvas, Plot

TALLER = 40
"""Magnification of the rows of x and of the result."""
UNIT = 0.0033
"""Inches to a row or column of a matrix."""
FILL = 0.3
GAP = 1.1
"""Between x and the rest, inches."""


def draw(_: Translate, T: int, C: int) -> Plot:
    """Draw x (T, C) @ W (C, 3C) = (T, 3C) to scale; x and the result also with taller rows."""
    canvas = Canvas(_("One product makes queries, keys and values"))
    left, top = 1.05, 1.5
    wide, tall, thin = C * UNIT, C * UNIT, T * UNIT
    across, below = left + wide + GAP, top + tall + 0.5
    parts = ("Q", "K", "V")
    for at, part in enumerate(parts):
        box = Box(across + at * wide, top, wide, tall)
        _block(canvas, box, at)
        canvas.text(box.middle[0], box.middle[1] - 0.2, f"W_{part}", 28)
        canvas.text(box.middle[0], box.middle[1] + 0.35, f"({C}, {C})", 16)
        canvas.rectangle(Box(across + at * wide, below, wide, thin), fill=canvas.color(at))
    canvas.rectangle(Box(left, below, wide, thin), fill=canvas.color(6))
    canvas.text(across + 1.5 * wide, top - 0.3, f"W ({C}, {3 * C})", 18)
    canvas.text(left + wide / 2, below - 0.3, f"x ({T}, {C})", 18)
    canvas.text(left + wide + GAP / 2, below, "@ W =", 16)
    zoomed, height = below + 0.75, TALLER * thin
    note = _("to scale: {T} rows are this thin").format(T=T)
    canvas.text(left + wide / 2, below + 0.3, note, 12)
    canvas.text(across + 1.5 * wide, below + 0.3, _("the same rows, {n} times as tall").format(n=TALLER), 12)
    _rows(canvas, Box(left, zoomed, wide, height), 6, T)
    canvas.text(left + wide / 2, zoomed + height / 2, "x", 28)
    for at, part in enumerate(parts):
        box = Box(across + at * wide, zoomed, wide, height)
        _rows(canvas, box, at, T)
        canvas.text(*box.middle, f"{part} ({T}, {C})", 22)
    canvas.text(left + wide + GAP / 2, zoomed + height / 2, "@ W =", 16)
    shapes = f"({T}, {C}) @ ({C}, {3 * C}) → ({T}, {3 * C})"
    said = _("{shapes}, then split in three: one product instead of three").format(shapes=shapes)
    canvas.text(20 / 3, zoomed + height + 0.55, said, 18)
    return canvas.plot


def _block(canvas: Canvas, box: Box, tint: int) -> None:
    canvas.rectangle(box, fill=canvas.color(tint), alpha=FILL)
    canvas.rectangle(box, edge=canvas.color(tint), linewidth=1.5)


def _rows(canvas: Canvas, box: Box, tint: int, count: int) -> None:
    """Draw a block with a line between each two rows."""
    _block(canvas, box, tint)
    for at in range(1, count):
        y = box.top + at * box.height / count
        canvas.line([box.left, box.right], [y, y], color=canvas.ground, linewidth=1.0)
