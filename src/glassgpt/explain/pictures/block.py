"""Slide of `block`: the parts of a block with their sizes, the loss without them, and deep stacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from glassgpt.explain.content import Translate
from glassgpt.plots import Box, Canvas, Plot, bars, drawing, lines

STREAM, PART = 1.8, 2.95
"""Middle of the stream, and left edge of the parts, inches."""
WIDE, TALL = 1.6, 0.52
ADDED = (4.9, 2.05)
"""Places of the two sums, from the top: the stream flows upwards."""


@drawing
def draw(
    _: Translate,
    sizes: Sequence[float],
    C: int,
    costs: Mapping[str, tuple[float, float]],
    depths: Sequence[int],
    gradients: Mapping[str, Sequence[float]],
) -> Plot:
    """Draw a block with the RMS of its stream and its writes, and two charts.

    sizes: of the stream before, of what attention writes, of the stream between, of what the MLP writes, of
    the stream after. costs: nats added by each change of the block, with standard errors. gradients: by
    build, at each depth.
    """
    canvas = Canvas(_("A block: parts read a normed copy of the stream, and add what they compute"))
    _diagram(canvas, _, sizes, C)
    upper, lower = _axes(canvas, Box(7.1, 1.35, 5.9, 2.15)), _axes(canvas, Box(7.1, 4.95, 5.9, 1.6))
    bars(
        [*costs],
        {"": [added for added, _error in costs.values()]},
        errors={"": [error for _added, error in costs.values()]},
        title=_("nats that the loss rises if block 0 is changed"),
        axes=upper,
    )
    lines(
        {name: (depths, values) for name, values in gradients.items()},
        x_title=_("blocks, random weights"),
        title=_("gradient at the input of a deep stack"),
        log_x=True,
        log_y=True,
        axes=lower,
    )
    lower.set_xticks(depths, [str(depth) for depth in depths])
    lower.minorticks_off()
    return canvas.plot


def _axes(canvas: Canvas, box: Box) -> Axes:
    width, height = canvas.plot.get_size_inches()
    return canvas.plot.add_axes(
        (box.left / width, 1 - box.bottom / height, box.width / width, box.height / height)
    )


def _diagram(canvas: Canvas, _: Translate, sizes: Sequence[float], C: int) -> None:
    """Draw the stream upwards, and the two parts to its right."""
    before, attention, between, mlp, after = sizes
    canvas.text(STREAM, 7.05, _("stream x, {C} numbers a token").format(C=C), 14)
    canvas.arrow((STREAM, 6.8), (STREAM, 1.15), canvas.color(0))
    for y, size in ((6.3, before), (3.47, between), (1.4, after)):
        canvas.text(STREAM - 0.15, y, _("RMS {size:.2f}").format(size=size), 14, ha="right")
    names = (_("attention"), _("MLP"))
    notes = (_("moves information between tokens"), _("works on each token alone"))
    for at, (y, size) in enumerate(zip(ADDED, (attention, mlp), strict=True)):
        below = y + 1.15
        canvas.line([STREAM, PART + WIDE / 2], [below, below], color=canvas.color(at + 1), linewidth=1.8)
        norm = Box(PART + WIDE / 2 - 0.5, below - 0.2, 1.0, 0.4)
        part = Box(PART, y + 0.05, WIDE, TALL)
        canvas.arrow((PART + WIDE / 2, norm.top), (PART + WIDE / 2, part.bottom), canvas.color(at + 1))
        canvas.arrow((PART, part.middle[1]), (STREAM + 0.2, part.middle[1]), canvas.color(at + 1))
        for box, name, tint in ((norm, _("norm"), 6), (part, names[at], at + 1)):
            canvas.rectangle(box, fill=canvas.ground, zorder=2)
            canvas.rectangle(box, fill=canvas.color(tint), alpha=0.25, zorder=2)
            canvas.rectangle(box, edge=canvas.color(tint), linewidth=1.5, zorder=2)
            canvas.text(*box.middle, name, 16)
        canvas.text(STREAM, part.middle[1], "+", 20, bbox=_circle(canvas))
        canvas.text(
            part.right + 0.1, part.middle[1], _("adds RMS {size:.2f}").format(size=size), 14, ha="left"
        )
        canvas.text(norm.right + 0.1, norm.middle[1], _("to RMS 1"), 14, ha="left")
        canvas.text(PART, part.top - 0.2, notes[at], 12, ha="left")


def _circle(canvas: Canvas) -> dict[str, object]:
    return {
        "boxstyle": "circle,pad=0.15",
        "facecolor": canvas.ground,
        "edgecolor": canvas.color(0),
        "linewidth": 1.8,
    }
