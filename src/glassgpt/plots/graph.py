"""Attention as a directed graph: tokens are nodes, arrows run from keys to queries.

`attention_graph` draws self-attention, `bipartite_graph` cross-attention.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path

from glassgpt.errors import UserError
from glassgpt.plots.cells import inches
from glassgpt.plots.colors import color
from glassgpt.plots.labels import visible_labels
from glassgpt.plots.network import (
    BOX,
    FONT,
    Edge,
    Node,
    arrow,
    centered,
    draw_nodes,
    finish,
    line,
    room,
    visible_edges,
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
    by_distance: bool = False,
    title: str = "",
    axes: Axes | None = None,
) -> Plot:
    """Draw self-attention as arcs over and under a line of tokens, from key to query.

    weights: (T, T), row t is the query, column s the key; tokens: T labels. Arrows to a later token pass
    above, to an earlier one below, to the same token in a loop. Width and opacity follow the weight; the
    color is that of the query. Weights below `threshold`, and NaN, have no arrow. focus: position of a token;
    only its own arrows have color. by_distance: the color is that of the distance from key to query,
    not that of the query. Raises UserError if shapes do not match.
    """
    values = array(weights, (2,), "weights")
    if values.shape[0] != values.shape[1]:
        raise UserError(
            "weights: shape {shape} is not square, as of self-attention. Use bipartite_graph.",
            shape=values.shape,
        )
    nodes = line(visible_labels(tokens, len(values), "tokens"))
    found = visible_edges(values, threshold, focus)
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
        foot, pull = side * BOX, side * (BOX + rise * 4 / 3)  # the arc rises to 3/4 of the pull
        arc = Path([(start, foot), (start, pull), (end, pull), (end, foot)], [1, 4, 4, 4])
        arrow(axes, arc, weight, j, focus, shrink, tint=color(j - i if by_distance else j))
    draw_nodes(axes, nodes, 0.0, -1 if by_distance else focus, shrink)
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
    """Draw cross-attention: keys (columns) above, queries (rows) below.

    weights: (T, S); other arguments as in `attention_graph`. row_title, column_title: text to the left of the
    lines.
    """
    values = array(weights, (2,), "weights")
    below = line(visible_labels(rows, len(values), "rows"))
    above = line(visible_labels(columns, values.shape[1], "columns"))
    width = max(one[-1].x + one[-1].half for one in (above, below))
    above, below = centered(above, width), centered(below, width)
    height = float(np.clip(0.22 * width, 1.6, 3.2))
    margin = inches([row_title, column_title], FONT - 2) + 0.3
    axes, shrink = room(axes, width + margin + 0.3, height + 4 * BOX)
    for j, i, weight in visible_edges(values, threshold, focus):
        start, end = (above[i].x, height - BOX), (below[j].x, BOX)
        arrow(axes, Path([start, end]), weight, j, focus, shrink, tint=color(j))
    draw_nodes(axes, above, height, -1, shrink)
    draw_nodes(axes, below, 0.0, focus, shrink)
    for y, words in ((0.0, row_title), (height, column_title)):
        axes.text(-0.2, y, words, fontsize=(FONT - 2) * shrink, ha="right", va="center")
    axes.set(xlim=(-margin, width + 0.15), ylim=(-2 * BOX, height + 2 * BOX))
    return finish(axes, title)


def fitting_tokens(labels: Sequence[str], width: float) -> list[str]:
    """Return as many of the first labels as fit a width in inches, at least one."""
    nodes = line(labels)
    return [*labels[: max(sum(node.x + node.half < width for node in nodes), 1)]]


def _height(steps: int) -> float:
    """Return the height of an arc over `steps` tokens: flatter for longer arcs, to fit a slide."""
    return 0.0 if steps <= 0 else 0.36 * steps**0.72


def _ports(found: list[Edge], nodes: list[Node]) -> dict[tuple[int, str], float]:
    """Return the start and end of each arrow, so that the arcs of one node do not cross.

    Arcs to or from earlier tokens use the left part of a node, the nearest token leftmost; later tokens
    mirrored.
    """
    sides: dict[tuple[int, bool, bool], list[tuple[float, int, str]]] = defaultdict(list)
    ports = {}
    for number, (j, i, _) in enumerate(found):
        if i == j:
            reach = min(0.13, nodes[i].half)
            ports[number, "out"], ports[number, "in"] = nodes[i].x + reach, nodes[i].x - reach
            continue
        # Key: node, above or below the line, right or left side.
        sides[i, j > i, j > i].append((abs(j - i), number, "out"))
        sides[j, j > i, j < i].append((abs(j - i), number, "in"))
    for (at, _, right), ends in sides.items():
        for place, (_, number, kind) in enumerate(sorted(ends, reverse=True)):
            away = nodes[at].half * 0.9 * (place + 0.7) / (len(ends) + 0.4)
            ports[number, kind] = nodes[at].x + (away if right else -away)
    return ports
