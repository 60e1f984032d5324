"""Attention over the patches of an image, as a color on top of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from glassgpt.errors import UserError
from glassgpt.plots.cells import Values, color_bar
from glassgpt.plots.colors import OVERLAY, tint
from glassgpt.plots.labels import visible_labels
from glassgpt.plots.numbers import Numbers, array
from glassgpt.plots.style import Plot, drawing

PANEL = 2.6  # inches
GRAY = (0.299, 0.587, 0.114)  # how bright red, green and blue look; source: ITU-R BT.601


@drawing
def over_image(
    image: Numbers,
    weights: Numbers,
    titles: Sequence[str],
    *,
    title: str = "",
    image_title: str | None = None,
    bar_title: str = "",
    limits: tuple[float, float] | None = None,
) -> Plot:
    """Draw a panel for each query token: the image in gray, attention in orange, on one scale.

    image: (channels, height, width), 0 to 255, one channel or three. weights: (n, patches) or (patches,), the
    patches of a square grid row by row. titles: n labels of the query tokens. image_title: title of a first
    panel with the image in its own colors; no such panel if None. Raises UserError if shapes do not match.
    """
    pixels = _pixels(image)
    values = np.atleast_2d(array(weights, (1, 2), "weights"))
    grid = math.isqrt(values.shape[1])
    if grid * grid != values.shape[1]:
        raise UserError(
            "{shape} patches: no square grid. Pass the weights of all patches, and only those.",
            shape=values.shape[1],
        )
    names = visible_labels(titles, len(values), "query tokens")
    first = image_title is not None
    plot, panels = _panels(len(values) + first, pixels.shape[0] / pixels.shape[1])
    if image_title is not None:
        _show(panels[0], pixels)
        panels[0].set_title(image_title, fontsize=13)
    finite = values[np.isfinite(values)]
    greatest = float(finite.max(initial=0.0)) or 1.0
    norm = Normalize(*(limits or (0.0, greatest)))
    for axes, name, one in zip(panels[first:], names, values, strict=True):
        _show_attention(axes, pixels, np.asarray(norm(one)).reshape(grid, grid))
        axes.set_title(name, fontsize=13)
    color_bar(panels, OVERLAY, norm, bar_title)
    plot.suptitle(title)
    return plot


@drawing
def overlay(axes: Axes, image: Numbers, weights: Numbers | None) -> None:
    """Draw an image on axes: in its own colors, or in gray with attention in orange.

    weights: (rows, columns) of patches. image: as in `over_image`.
    """
    pixels = _pixels(image)
    if weights is None:
        return _show(axes, pixels)
    values = array(weights, (2,), "weights")
    _show_attention(axes, pixels, values / (values.max(initial=0.0) or 1.0))


def _show_attention(axes: Axes, pixels: NDArray[np.float64], patches: Values) -> None:
    """Draw patches (grid, grid), 0 to 1, over pixels (H, W, 3)."""
    pale = 0.25 + 0.7 * (pixels @ GRAY)[..., None]  # orange must be visible on black, too
    gray = np.repeat(pale, 3, axis=2)
    _show(axes, tint(gray, _spread(patches, gray)))
    _draw_grid(axes, len(patches))


def _pixels(image: Numbers) -> NDArray[np.float64]:
    """(channels, H, W), 0 to 255 -> (H, W, 3), 0 to 1."""
    pixels = array(torch.as_tensor(image), (3,), "image") / 255
    if len(pixels) not in (1, 3) or pixels.min() < 0 or pixels.max() > 1:
        raise UserError(
            "image: has shape {shape} and values {lowest:g} to {highest:g}. Pass (channels, height, width) "
            "with one channel or three, values 0 to 255.",
            shape=pixels.shape,
            lowest=255 * pixels.min(),
            highest=255 * pixels.max(),
        )
    return np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0)  # (3, H, W) -> (H, W, 3)


def _panels(count: int, shape: float) -> tuple[Plot, list[Axes]]:
    across = min(count, max(math.ceil(math.sqrt(2 * count)), 4))  # the width of a slide
    down = math.ceil(count / across)
    plot = Plot(across * PANEL + 1.2, down * (PANEL * shape + 0.4) + 0.5)
    return plot, [plot.add_subplot(down, across, at + 1) for at in range(count)]


def _show(axes: Axes, pixels: NDArray[np.float64]) -> None:
    axes.imshow(
        pixels, interpolation="nearest", extent=(0, pixels.shape[1], pixels.shape[0], 0), vmin=0, vmax=1
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _spread(patches: Values, pixels: Values) -> Values:
    """Return the value of each pixel's patch: (grid, grid) -> (H, W); 0 for NaN."""
    rows, columns = (np.arange(count) * len(patches) // count for count in pixels.shape[:2])
    return np.clip(np.nan_to_num(patches), 0, 1)[rows][:, columns]


def _draw_grid(axes: Axes, grid: int) -> None:
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    white = {"colors": [(1, 1, 1, 0.45)], "linewidth": 0.6}
    axes.vlines(np.linspace(left, right, grid + 1), bottom, top, **white)
    axes.hlines(np.linspace(bottom, top, grid + 1), left, right, **white)
