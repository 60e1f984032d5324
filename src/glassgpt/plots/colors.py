"""Colors for color-blind readers, projectors and gray printers, on a light or a dark ground."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgb
from numpy.typing import NDArray

from glassgpt.errors import UserError


def _colormap(name: str, *colors: str) -> Colormap:
    return LinearSegmentedColormap.from_list(name, colors)


@dataclass(frozen=True)
class Theme:
    """Colors of a plot."""

    ground: str
    """The background, and the color of zero."""
    text: str
    faint: str
    """Axes and ticks."""
    line: str
    """Grids, and lines between cells."""
    mark: str
    """Frames around cells."""
    masked: str
    hatch: str
    palette: tuple[str, ...]
    """Colors of series: at a contrast of 3:1 to the ground, and apart from each other for the color-blind."""
    sequential: Colormap
    """From the ground to the color of the largest value."""
    diverging: Colormap
    """From negative over the ground to positive values."""


# The hues are those of Okabe and Ito, without yellow, and gray for black; orange, sky blue and green are
# darker for contrast. Source: Wong 2011, "Points of view: Color blindness", Nature Methods 8.
LIGHT = Theme(
    ground="#FFFFFF",
    text="#222222",
    faint="#6B6B6B",
    line="#DDDDDD",
    mark="#D55E00",
    masked="#F0F0F0",
    hatch="#CCCCCC",
    palette=("#0054B4", "#B63000", "#00854E", "#CC79A7", "#D97A00", "#638FFF", "#4D4D4D"),
    sequential=_colormap("white to blue", "#FFFFFF", "#CFE2F3", "#7DB3DC", "#2E7EBB", "#08417C", "#04244A"),
    diverging=_colormap(
        "orange, white, blue",
        "#7A2E00",
        "#D55E00",
        "#F6B98B",
        "#FFFFFF",
        "#9CC8E6",
        "#0072B2",
        "#003B66",
    ),
)
DARK = Theme(
    ground="#171B20",
    text="#E8E8E8",
    faint="#A0A5AB",
    line="#3A4047",
    mark="#F58634",
    masked="#22272D",
    hatch="#4A515A",
    palette=("#3E91FB", "#EA7123", "#3EF089", "#B06DA8", "#F5EF45", "#CBFDFD", "#8F9C7D"),
    sequential=_colormap("dark to blue", "#171B20", "#123A63", "#1F69A8", "#4FA0D8", "#9CD0F2", "#E6F5FF"),
    diverging=_colormap(
        "orange, dark, blue",
        "#FFDCC2",
        "#F58634",
        "#8A3F0B",
        "#171B20",
        "#124E80",
        "#4FA0D8",
        "#D3ECFF",
    ),
)
THEMES = {"light": LIGHT, "dark": DARK}
_theme: ContextVar[Theme] = ContextVar("theme", default=LIGHT)


def current() -> Theme:
    """Return the colors of plots that are drawn now."""
    return _theme.get()


@contextmanager
def theme(name: str) -> Iterator[None]:
    """Draw in the colors of a theme, `light` or `dark`, inside the `with` block.

    A plot keeps the theme that it was made with. Raises UserError for another name.
    """
    if name not in THEMES:
        raise UserError(
            "there is no theme {name!r}. Choose one of {themes}.",
            name=name,
            themes=", ".join(THEMES),
        )
    token = _theme.set(THEMES[name])
    try:
        yield
    finally:
        _theme.reset(token)


OPAQUE = 0.6  # share of an image hidden by the largest weight: the image must stay visible


def tint(pixels: NDArray[np.float64], strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mix orange into pixels (..., 3); strength: (...), 0 to 1.

    >>> tint(np.ones(3), np.array(0.0)).tolist()
    [1.0, 1.0, 1.0]
    """
    share = OPAQUE * strength[..., None]
    return (1 - share) * pixels + share * np.array(to_rgb(LIGHT.mark))


# White with `tint`: the color scale of images.
_ENDS = tint(np.ones((2, 3)), np.array([0.0, 1.0]))
OVERLAY = LinearSegmentedColormap.from_list("white to orange", _ENDS)


def color(index: int) -> str:
    """Return the color of a series; after seven they repeat."""
    palette = current().palette
    return palette[index % len(palette)]


def scale(values: NDArray[np.float64], limits: tuple[float, float] | None) -> tuple[Colormap, Normalize]:
    """Return colors from the ground (0) to the largest value; orange to blue with negative values."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if limits is not None:
        low, high = limits
    if low < 0:
        reach = max(-low, high)
        return current().diverging, Normalize(-reach, reach)
    return current().sequential, Normalize(low if limits else 0.0, high if high > 0 else 1.0)


def ink(background: tuple[float, float, float, float]) -> str:
    """Return the text color, dark or white, with more contrast to the background.

    Source: relative luminance, WCAG 2.2; the two give equal contrast near 0.18.
    """
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(background[:3])
    )
    return LIGHT.text if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.22 else "#FFFFFF"
