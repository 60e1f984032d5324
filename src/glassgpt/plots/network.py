"""Nodes and arrows of attention graphs. All lengths are inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from glassgpt.errors import UserError
from glassgpt.plots.cells import Values, inches, inches_across, inches_down
from glassgpt.plots.colors import color, current
from glassgpt.plots.style import Plot, plot_of

Edge = tuple[int, int, float]  # gatherer, source, weight

FONT = 14.0  # points
BOX = 0.165  # half the height of a node, inches
GAP, NARROW_GAP, MANY = 0.3, 0.14, 12  # between up to 12 nodes, and between more nodes, inches


@dataclass(frozen=True)
class Node:
    """A token in a line of tokens."""

    name: str
    x: float
    half: float  # half of its width


def room(axes: Axes | None, width: float, height: float) -> tuple[Axes, float]:
    """Return axes for a drawing of `width` by `height`, and its scale: below 1 in small axes."""
    if axes is None:
        return Plot(width, height + 0.5).add_subplot(), 1.0
    return axes, min(1.0, inches_across(axes) / width, inches_down(axes) / height)


def line(names: Sequence[str]) -> list[Node]:
    """Place tokens side by side, each as wide as its text."""
    nodes, x = [], 0.0
    gap = GAP if len(names) <= MANY else NARROW_GAP
    for name in names:
        half = max(inches([name], FONT) / 2 + 0.09, 0.17)
        nodes.append(Node(name, x + half, half))
        x += 2 * half + gap
    return nodes


def centered(nodes: list[Node], width: float) -> list[Node]:
    """Spread nodes evenly over `width`."""
    free = width - nodes[-1].x - nodes[-1].half
    step = free / len(nodes)
    return [Node(node.name, node.x + step * (at + 0.5), node.half) for at, node in enumerate(nodes)]


def visible_edges(values: Values, threshold: float, focus: int | None) -> list[Edge]:
    """Return edges of at least `threshold`: the largest and those in focus last, to be drawn on top."""
    if focus is not None and not 0 <= focus < len(values):
        raise UserError(
            "focus {focus}: no such position. Pass 0 to {n_values}.", focus=focus, n_values=len(values) - 1
        )
    with np.errstate(invalid="ignore"):
        found = [(int(j), int(i), float(values[j, i])) for j, i in np.argwhere(values >= threshold)]
    return sorted(found, key=lambda edge: (edge[0] == focus, edge[2], edge[:2]))


def arrow(
    axes: Axes, path: Path, weight: float, to: int, focus: int | None, shrink: float, tint: str
) -> None:
    """Draw an arrow along `path` to the token `to`; gray if another token is in focus."""
    faint = focus is not None and to != focus
    strength = float(np.clip(weight, 0.0, 1.0))
    width = shrink * (0.6 + 4.2 * strength)
    axes.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle=f"-|>,head_length={3 * shrink + width},head_width={1.5 * shrink + 0.6 * width}",
            linewidth=width,
            color=current().line if faint else tint,
            alpha=1.0 if faint else 0.3 + 0.7 * strength**0.7,
            capstyle="butt",
            joinstyle="miter",
            shrinkA=0,
            shrinkB=0,
            zorder=1 if faint else 2,
        )
    )


def draw_nodes(axes: Axes, nodes: list[Node], y: float, focus: int | None, shrink: float) -> None:
    """Draw nodes with colored frames: all of them, or the one in focus; -1 for none."""
    for at, node in enumerate(nodes):
        frame = {"boxstyle": "round,pad=0.25", "facecolor": current().ground, "linewidth": 1.6 * shrink}
        edge = color(at) if focus in (None, at) else current().faint
        axes.text(
            node.x,
            y,
            node.name,
            fontsize=FONT * shrink,
            color=current().text,
            ha="center",
            va="center_baseline",
            bbox={**frame, "edgecolor": edge},
            zorder=3,
        )


def finish(axes: Axes, title: str) -> Plot:
    """Set the title, hide the axes, and return the plot."""
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(title)
    return plot_of(axes)
