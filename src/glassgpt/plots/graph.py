"""Attention as communication: tokens are nodes, arrows run from those looked at to those that gather.

`attention_graph` is for a sequence that looks at itself, `bipartite_graph` for one that looks at
another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path

from glassgpt.errors import UserError
from glassgpt.plots.cells import inches
from glassgpt.plots.labels import labels
from glassgpt.plots.network import (
    BOX,
    FONT,
    Edge,
    Node,
    arrow,
    centered,
    draw_nodes,
    edges,
    finish,
    line,
    room,
)
from glassgpt.plots.numbers import Numbers, array
from glassgpt.plots.style import Plot, drawing


@drawing
def attention_graph(
    weights: Numbers,
    tokens: Sequence[str],
    *,
    threshold: float = 0.05,
    focus: int | None = None,
    title: str = "",
    axes: Axes | None = None,
) -> Plot:
    """Arcs over and under a line of tokens, from each that is looked at to the one that gathers.

    weights: (T, T), row t gathers from column s; tokens: T labels. Arrows to a later token pass above,
    to an earlier one below, to itself in a loop. Width and opacity follow the weight, the color is
    that of the token that gathers. Weights below `threshold`, and NaN, have no arrow. focus: the place
    of a token; only what it gathers is in color. Raises UserError where shapes don't fit.
    """
    values = array(weights, (2,), "weights")
    if values.shape[0] != values.shape[1]:
        raise UserError(
            f"weights {values.shape} are not of a sequence that looks at itself: use bipartite_graph"
        )
    nodes = line(labels(tokens, len(values), "tokens"))
    found = edges(values, threshold, focus)
    far = [j - i for j, i, _ in found]
    above, below = (_height(max([side * d for d in far] + [0])) for side in (1, -1))
    above = max(above, 0.55 if 0 in far else 0.15)
    width = nodes[-1].x + nodes[-1].half + 0.3
    axes, shrink = room(axes, width, above + below + 4 * BOX)
    ports = _ports(found, nodes)
    for number, (j, i, weight) in enumerate(found):
        start, end = ports[number, "out"], ports[number, "in"]
        side = 1 if j >= i else -1
        rise = 0.42 if i == j else _height(abs(j - i))
        foot, pull = side * BOX, side * (BOX + rise * 4 / 3)  # it rises to 3/4 of the pull
        arc = Path([(start, foot), (start, pull), (end, pull), (end, foot)], [1, 4, 4, 4])
        arrow(axes, arc, weight, j, focus, shrink)
    draw_nodes(axes, nodes, 0.0, focus, shrink)
    axes.set(xlim=(-0.15, width - 0.15), ylim=(-below - 2 * BOX, above + 2 * BOX))
    return finish(axes, title)


@drawing
def bipartite_graph(
    weights: Numbers,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    threshold: float = 0.05,
    focus: int | None = None,
    title: str = "",
    row_title: str = "",
    column_title: str = "",
    axes: Axes | None = None,
) -> Plot:
    """Cross-attention: sources (columns) above, those that gather from them (rows) below.

    weights: (T, S); the rest as in `attention_graph`. row_title, column_title: written at the left of
    the lines.
    """
    values = array(weights, (2,), "weights")
    below = line(labels(rows, len(values), "rows"))
    above = line(labels(columns, values.shape[1], "columns"))
    width = max(one[-1].x + one[-1].half for one in (above, below))
    above, below = centered(above, width), centered(below, width)
    height = float(np.clip(0.22 * width, 1.6, 3.2))
    margin = inches([row_title, column_title], FONT - 2) + 0.3
    axes, shrink = room(axes, width + margin + 0.3, height + 4 * BOX)
    for j, i, weight in edges(values, threshold, focus):
        start, end = (above[i].x, height - BOX), (below[j].x, BOX)
        arrow(axes, Path([start, end]), weight, j, focus, shrink)
    draw_nodes(axes, above, height, -1, shrink)
    draw_nodes(axes, below, 0.0, focus, shrink)
    for y, words in ((0.0, row_title), (height, column_title)):
        axes.text(-0.2, y, words, fontsize=(FONT - 2) * shrink, ha="right", va="center")
    axes.set(xlim=(-margin, width + 0.15), ylim=(-2 * BOX, height + 2 * BOX))
    return finish(axes, title)


def _height(steps: int) -> float:
    """How high an arc over `steps` tokens rises: flatter the longer, so that a slide's shape is kept."""
    return 0.0 if steps <= 0 else 0.36 * steps**0.72


def _ports(found: list[Edge], nodes: list[Node]) -> dict[tuple[int, str], float]:
    """Where each arrow leaves and lands, spread over the nodes so that arcs of one node don't cross.

    On the left of a node's edge meet arcs to or from tokens before it: the nearest leftmost; on the
    right mirrored.
    """
    sides: dict[tuple[int, bool, bool], list[tuple[float, int, str]]] = defaultdict(list)
    ports = {}
    for number, (j, i, _) in enumerate(found):
        if i == j:
            reach = min(0.13, nodes[i].half)
            ports[number, "out"], ports[number, "in"] = nodes[i].x + reach, nodes[i].x - reach
            continue
        # By node, above or below the line, and towards which side.
        sides[i, j > i, j > i].append((abs(j - i), number, "out"))
        sides[j, j > i, j < i].append((abs(j - i), number, "in"))
    for (at, _, right), ends in sides.items():
        for place, (_, number, kind) in enumerate(sorted(ends, reverse=True)):
            away = nodes[at].half * 0.9 * (place + 0.7) / (len(ends) + 0.4)
            ports[number, kind] = nodes[at].x + (away if right else -away)
    return ports
