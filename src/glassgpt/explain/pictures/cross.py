"""Slide of `cross`: the alignment of a translation, and attention over an image."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.plots import Box, Canvas, Plot, heaviest

IMAGE = 2.35
"""Side of an image, inches."""


def draw(
    _: Translate,
    source: Sequence[str],
    target: Sequence[str],
    weights: Tensor,
    head: str,
    pixels: Tensor,
    patches: Tensor,
    question: str,
    answer: str,
    image_head: str,
) -> Plot:
    """Draw weights (T, S) of a translation, and patches (side, side) over pixels (channels, H, W)."""
    canvas = Canvas(_("Cross-attention: queries from the answer, keys and values from the source"))
    cell = (min(0.36, 7.2 / len(source)), min(0.4, 4.1 / len(target)))
    box = canvas.matrix(
        weights,
        1.5,
        2.15,
        cell,
        label_room=0.95,
        rows=target,
        columns=source,
        decimals=None,
        limits=(0.0, 1.0),
        marked=heaviest(weights.double().numpy()),
    )
    canvas.text(box.middle[0], 1.1, _("translation: {head}").format(head=head), 16)
    canvas.text(box.middle[0], 1.45, _("source (keys) →"))
    canvas.text(0.25, box.middle[1], _("answer (queries) →"), rotation=270)
    bar = Box(box.left, box.bottom + 0.35, min(box.width, 4.0), 0.2)
    canvas.color_bar(bar, _("weight"))
    left = 9.8
    canvas.text(left + IMAGE / 2, 1.1, _("image: {head}").format(head=image_head), 16)
    canvas.text(left + IMAGE / 2, 1.45, f"“{question}” → “{answer}”", room=4.2)
    canvas.image(Box(left, 1.7, IMAGE, IMAGE), pixels)
    canvas.image(Box(left, 4.2, IMAGE, IMAGE), pixels, patches)
    canvas.color_bar(Box(left, 6.7, IMAGE, 0.2), _("weight"), patches.max().item(), of_image=True)
    return canvas.plot
