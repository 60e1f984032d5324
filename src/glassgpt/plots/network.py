"""Nodes and arrows, which both kinds of attention graph are drawn with. All lengths are inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from glassgpt.errors import UserError
from glassgpt.plots.cells import Values, inches, inches_across, inches_down
from glassgpt.plots.colors import LINE, TEXT, color
from glassgpt.plots.style import Plot, picture_of

Edge = tuple[int, int, float]  # gatherer, source, weight

FONT = 14.0  # points
BOX = 0.165  # half the height of a node, inches
GAPS = (0.3, 0.14)  # between nodes, where there are few and where there are many, inches


@dataclass(frozen=True)
class Node:
    """A token on its line."""

    name: str
    x: float
    half: float  # half of its width


def room(axes: Axes | None, width: float, height: float) -> tuple[Axes, float]:
    """Axes for a drawing of `width` times `height`, and how much smaller it gets in given axes."""
    if axes is None:
        return Plot(width, height + 0.5).add_subplot(), 1.0
    return axes, min(1.0, inches_across(axes) / width, inches_down(axes) / height)


def line(names: Sequence[str]) -> list[Node]:
    """The tokens side by side like a sentence, each as wide as its text."""
    nodes, x = [], 0.0
    for name in names:
        half = max(inches([name], FONT) / 2 + 0.09, 0.17)
        nodes.append(Node(name, x + half, half))
        x += 2 * half + GAPS[len(names) > 12]
    return nodes


def centered(nodes: list[Node], width: float) -> list[Node]:
    """The same nodes, spread over `width`."""
    free = width - nodes[-1].x - nodes[-1].half
    step = free / len(nodes)
    return [Node(node.name, node.x + step * (at + 0.5), node.half) for at, node in enumerate(nodes)]


def edges(values: Values, threshold: float, focus: int | None) -> list[Edge]:
    """The lightest first, so that the heaviest lie on top, and those in focus last."""
    if focus is not None and not 0 <= focus < len(values):
        raise UserError(f"focus {focus} is not the place of a token: give 0 to {len(values) - 1}")
    with np.errstate(invalid="ignore"):
        found = [(int(j), int(i), float(values[j, i])) for j, i in np.argwhere(values >= threshold)]
    return sorted(found, key=lambda edge: (edge[0] == focus, edge[2], edge[:2]))


def arrow(axes: Axes, path: Path, weight: float, to: int, focus: int | None, shrink: float) -> None:
    """An arrow along `path` to the token `to`, in gray where another one is in focus."""
    faint = focus is not None and to != focus
    strength = float(np.clip(weight, 0.0, 1.0))
    width = shrink * (0.6 + 4.2 * strength)
    axes.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle=f"-|>,head_length={3 * shrink + width},head_width={1.5 * shrink + 0.6 * width}",
            linewidth=width,
            color=LINE if faint else color(to),
            alpha=1.0 if faint else 0.3 + 0.7 * strength**0.7,
            capstyle="butt",
            joinstyle="miter",
            shrinkA=0,
            shrinkB=0,
            zorder=1 if faint else 2,
        )
    )


def draw_nodes(axes: Axes, nodes: list[Node], y: float, focus: int | None, shrink: float) -> None:
    """Frames in color: of all nodes, or of the one in focus; -1 for none."""
    for at, node in enumerate(nodes):
        frame = {"boxstyle": "round,pad=0.25", "facecolor": "white", "linewidth": 1.6 * shrink}
        edge = color(at) if focus in (None, at) else "#999999"
        axes.text(
            node.x,
            y,
            node.name,
            fontsize=FONT * shrink,
            color=TEXT,
            ha="center",
            va="center_baseline",
            bbox={**frame, "edgecolor": edge},
            zorder=3,
        )


def finish(axes: Axes, title: str) -> Plot:
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(title)
    return picture_of(axes)
