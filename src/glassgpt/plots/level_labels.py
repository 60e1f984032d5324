"""Labels of levels at the right edge of a chart, moved apart so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

SPACING = 1.5
"""Distance of two labels, as a multiple of their size."""
INDENT = 0.03
"""Place of a label, to the right of the axes, as a share of their width."""


class Level(NamedTuple):
    """A label for a height of a chart."""

    y: float
    label: str
    color: str


def spread_labels(places: Sequence[float], gap: float) -> list[float]:
    """Move ascending places apart until neighbors have a gap, and keep each group around its mean.

    >>> spread_labels([0.0, 0.1, 5.0], 1.0)
    [-0.45, 0.55, 5.0]
    """
    groups: list[list[float]] = []  # places less their index times the gap: equal within a group
    for at, place in enumerate(places):
        groups.append([place - at * gap])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    level = [float(np.mean(group)) for group in groups for _ in group]
    return [round(base + at * gap, 9) for at, base in enumerate(level)]


def label_levels(axes: Axes, levels: Sequence[Level], size: float, height: float) -> None:
    """Write labels at the right of the axes, each joined to its height by a line.

    The limits and the scale of y must be final. height: of the axes in inches. The lowest labels are the
    most important: what does not fit is left out at the top.
    """
    gap = SPACING * size / 72 / height
    to_axes = axes.transData + axes.transAxes.inverted()
    levels = sorted(levels)[: max(1, int(1 / gap))]
    heights = [float(to_axes.transform((axes.get_xlim()[0], level.y))[1]) for level in levels]
    for level, y, at in zip(levels, heights, _inside(spread_labels(heights, gap), gap), strict=True):
        axes.plot(
            [1.0, 1 + 0.8 * INDENT], [y, at], transform=axes.transAxes, color=level.color, linewidth=0.9,
            clip_on=False, solid_capstyle="butt",
        )  # fmt: skip
        axes.text(
            1 + INDENT, at, level.label, transform=axes.transAxes, color=level.color, fontsize=size,
            ha="left", va="center",
        )  # fmt: skip


def _inside(places: list[float], gap: float) -> list[float]:
    """Move places with gaps so that none is above the axes or below."""
    n = len(places)
    raised = [max(place, at * gap) for at, place in enumerate(places)]
    return [min(place, 1 - (n - 1 - at) * gap) for at, place in enumerate(raised)]
