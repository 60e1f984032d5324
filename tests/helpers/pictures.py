"""What a person can read in a plot: the drawn texts, their places, and the color behind them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from unittest.mock import patch

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from glassgpt.plots import Plot
from helpers.vision import contrast

DPI = 72
"""A point is a pixel."""
TOUCH = 1.0
"""Pixels that two boxes may share: a box is a little larger than its ink."""


@dataclass(frozen=True)
class DrawnText:
    """A text in a picture, with the place of its ink in pixels from the lower left corner."""

    words: str
    size: float
    color: str
    box: Bbox


def drawn_texts(plot: Plot) -> list[DrawnText]:
    """Return all texts that are drawn: not the ticks outside of the axes."""
    found: dict[int, DrawnText] = {}  # matplotlib may draw a picture more than once
    draw = Text.draw

    def record(text: Text, renderer: Any, *args: Any, **kwargs: Any) -> None:
        final = plot.dpi == DPI  # not the layout before it
        if final and text.get_visible() and text.get_text().strip():
            box, color = text.get_window_extent(renderer), to_hex(text.get_color())
            found[id(text)] = DrawnText(text.get_text(), float(text.get_fontsize()), color, box)
        draw(text, renderer, *args, **kwargs)

    with patch.object(Text, "draw", record):
        plot.rendered("png", DPI)
    return [*found.values()]


def overlapping(texts: list[DrawnText]) -> list[tuple[str, str]]:
    """Return the pairs of texts that cover each other."""

    def overlap(one: Bbox, other: Bbox) -> bool:
        shared = Bbox.intersection(one, other)
        return shared is not None and min(shared.width, shared.height) > TOUCH

    return [(one.words, other.words) for one, other in combinations(texts, 2) if overlap(one.box, other.box)]


def outside(plot: Plot, texts: list[DrawnText]) -> list[str]:
    """Return the texts that leave the picture."""
    width, height = plot.get_size_inches() * DPI
    return [t.words for t in texts if t.box.x0 < 0 or t.box.y0 < 0 or t.box.x1 > width or t.box.y1 > height]


def without_texts(plot: Plot) -> NDArray[np.float32]:
    """Return the pixels of a picture without its texts: (height, width, 3), the lowest row first."""
    with patch.object(Text, "draw", lambda *args, **kwargs: None):
        return imread(io.BytesIO(plot.rendered("png", DPI)))[::-1, :, :3]


def faint(pixels: NDArray[np.float32], texts: list[DrawnText], least: float) -> list[str]:
    """Return the texts with less contrast to the color behind them, in pixels of `without_texts`."""
    found = []
    for text in texts:
        x0, y0, x1, y1 = (int(max(edge, 0)) for edge in text.box.extents)
        behind = np.median(pixels[y0 : y1 + 1, x0 : x1 + 1].reshape(-1, 3), axis=0).tolist()
        if contrast(text.color, to_hex(behind)) < least:
            found.append(text.words)
    return found
