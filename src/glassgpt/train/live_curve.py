"""The loss curve of a running training as SVG, in the color of the page's text: drawn in a millisecond."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 560, 230
LEFT, RIGHT, TOP, BOTTOM = 8, 150, 10, 10
"""Margins; the labels are at the right."""
LINE = 15
"""Distance of two labels, at least."""
MAX_POINTS = 200

Points = Sequence[tuple[float, float]]
"""(progress from 0 to 1, loss)."""


def curve_svg(held_out: Points, training: Points, levels: Mapping[str, float]) -> str:
    """Return curves on a logarithmic scale of losses, with labeled levels.

    held_out: a thick line with dots. training: a faint line. levels: losses of baselines by name.
    """
    losses = [loss for _, loss in (*held_out, *training)] + [*levels.values()]
    scale = _Scale([max(loss, 1e-6) for loss in losses] or [1.0])
    parts = [_level(loss, scale) for loss in levels.values()]
    parts += [_line(_thinned(training), scale, 1.0, 0.45), _line(held_out, scale, 2.4, 1.0)]
    parts += [
        f'<circle cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" r="3.2" stroke="none"/>' for x, y in held_out
    ]
    labels = {**levels, **({"held out": held_out[-1][1]} if held_out else {})}
    parts += _labels(labels, scale)
    style = (
        f"width: {WIDTH}px; max-width: 100%; fill: currentColor; stroke: currentColor; font: 12px sans-serif"
    )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" style="{style}">{"".join(parts)}</svg>'


class _Scale:
    """Places of a point: progress from left to right, the logarithm of the loss from bottom to top."""

    def __init__(self, losses: Sequence[float]) -> None:
        self.low, self.high = math.log(min(losses)), math.log(max(losses))

    def x(self, progress: float) -> float:
        return LEFT + progress * (WIDTH - LEFT - RIGHT)

    def y(self, loss: float) -> float:
        share = (math.log(max(loss, 1e-6)) - self.low) / ((self.high - self.low) or 1.0)
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def _line(points: Points, scale: _Scale, width: float, opacity: float) -> str:
    places = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke-width="{width}" opacity="{opacity}"/>'


def _level(loss: float, scale: _Scale) -> str:
    y = f"{scale.y(loss):.1f}"
    ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"'
    return f'<line {ends} stroke-dasharray="5 4" opacity="0.4"/>'


def _labels(levels: Mapping[str, float], scale: _Scale) -> list[str]:
    """Return labels from the bottom up, each at its level or above the one below it."""
    texts, last = [], float(HEIGHT + LINE)
    for name, loss in sorted(levels.items(), key=lambda item: item[1]):
        last = min(scale.y(loss) + 4, last - LINE)
        bold = ' font-weight="bold"' if name == "held out" else ' opacity="0.65"'
        text = escape(f"{name} {loss:.3f}")
        texts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{last:.1f}" stroke="none"{bold}>{text}</text>')
    return texts


def _thinned(points: Points) -> list[tuple[float, float]]:
    """Reduce a curve to means of neighbors."""
    size = -(-len(points) // MAX_POINTS) or 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
