"""Colors for color-blind readers, projectors and gray printers. White is zero."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgb
from numpy.typing import NDArray

# Source: Wong 2011, "Points of view: Color blindness", Nature Methods 8: the Okabe-Ito palette. Without its
# yellow, too faint on white, and with dark gray for black, too strong next to the others.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
TEXT, FAINT, LINE, MARK = "#222222", "#6B6B6B", "#DDDDDD", "#D55E00"
MASKED, HATCH = "#F0F0F0", "#CCCCCC"

SEQUENTIAL = LinearSegmentedColormap.from_list(
    "white to blue", ["#FFFFFF", "#CFE2F3", "#7DB3DC", "#2E7EBB", "#08417C", "#04244A"]
)
DIVERGING = LinearSegmentedColormap.from_list(
    "orange, white, blue", ["#7A2E00", "#D55E00", "#F6B98B", "#FFFFFF", "#9CC8E6", "#0072B2", "#003B66"]
)
OPAQUE = 0.6  # share of an image hidden by the largest weight: the image must stay visible


def tint(pixels: NDArray[np.float64], strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mix orange into pixels (..., 3); strength: (...), 0 to 1.

    >>> tint(np.ones(3), np.array(0.0)).tolist()
    [1.0, 1.0, 1.0]
    """
    share = OPAQUE * strength[..., None]
    return (1 - share) * pixels + share * np.array(to_rgb(MARK))


# White with `tint`: the color scale of images.
_ENDS = tint(np.ones((2, 3)), np.array([0.0, 1.0]))
OVERLAY = LinearSegmentedColormap.from_list("white to orange", _ENDS)


def color(index: int) -> str:
    """Return the color of a series; after seven they repeat."""
    return PALETTE[index % len(PALETTE)]


def scale(values: NDArray[np.float64], limits: tuple[float, float] | None) -> tuple[Colormap, Normalize]:
    """Return colors from white (0) to dark (largest value); orange to blue with negative values."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if limits is not None:
        low, high = limits
    if low < 0:
        reach = max(-low, high)
        return DIVERGING, Normalize(-reach, reach)
    return SEQUENTIAL, Normalize(low if limits else 0.0, high if high > 0 else 1.0)


def ink(background: tuple[float, float, float, float]) -> str:
    """Return the text color, dark or white, with more contrast to the background.

    Source: relative luminance, WCAG 2.2; the two give equal contrast near 0.18.
    """
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(background[:3])
    )
    return TEXT if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.22 else "#FFFFFF"
