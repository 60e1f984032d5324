"""Learning curves as SVG: no script, no font of its own, colors from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

from glassgpt.checkpoint import Point, RunCurve
from glassgpt.language import _

ROOM = 1.05
"""Room above and below the curves, as a factor."""
LEAST = 1e-3
LINE = 15
"""Height of a line of text."""
MAX_POINTS = 240
TICKS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)


class ChartSize(NamedTuple):
    """Size of a drawing, and its margin at the right for labels."""

    width: int
    height: int
    right: int


WIDE, NARROW = ChartSize(760, 400, 150), ChartSize(350, 330, 136)
LEFT, TOP, BOTTOM = 40, 12, 40


class Label(NamedTuple):
    """A text at the right end of a line."""

    y: float
    text: str
    style: str


class Frame(NamedTuple):
    """The scale of a chart: steps across, losses up, on a logarithmic scale."""

    size: ChartSize
    last: float
    low: float
    high: float

    def x(self, steps: float) -> float:
        """Return the place of a step."""
        return LEFT + (self.size.width - LEFT - self.size.right) * steps / max(self.last, 1e-9)

    def y(self, loss: float) -> float:
        """Return the place of a loss."""
        share = math.log(max(loss, LEAST) / self.low) / math.log(self.high / self.low)
        return self.size.height - BOTTOM - (self.size.height - TOP - BOTTOM) * share


def loss_chart(curves: Sequence[RunCurve], forecasts: Sequence[Mapping[str, float]], size: ChartSize) -> str:
    """Return the learning curves of runs as one SVG, with counted losses as dashed lines.

    forecasts: those of the run, if it is only one; the first is drawn.
    """
    levels = _levels(curves)
    frame = _frame(curves, levels, forecasts, size)
    parts = [*_axes(frame), *_dashed(frame, levels)]
    labels = [Label(frame.y(loss), f"{_(name)} {loss:.2f}", "faint") for name, loss in levels.items()]
    for i, curve in enumerate(curves):
        style = f"s{i % 6}"
        parts += _curve(frame, curve, style)
        end = curve.final_loss if curve.final_loss is not None else curve.best_held_out
        if end is not None:
            name = _("this model") if len(curves) == 1 else curve.name
            labels.append(Label(frame.y(end), f"{_short(name, size)} {end:.2f}", style))
    if forecasts and len(curves) == 1:
        parts += _forecast(frame, forecasts[0])
    parts += _labels(frame, labels)
    width, height, _right = size
    title = escape(_alternative(curves))
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{title}">{"".join(parts)}</svg>'
    )


def _short(name: str, size: ChartSize) -> str:
    """Shorten a name to what the margin of a chart has room for."""
    longest = 10 if size == NARROW else 14
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _alternative(curves: Sequence[RunCurve]) -> str:
    """Return the chart in words."""
    said = []
    for curve in curves:
        if curve.held_out:
            said.append(
                _(
                    "{name}: held-out loss from {first:.2f} to {best:.2f} {unit} at best, in {n:,} steps",
                    name=curve.name,
                    first=curve.held_out[0].loss,
                    best=curve.best_held_out,
                    unit=_(curve.summary.unit),
                    n=curve.n_steps,
                )
            )
    return "; ".join(said) or _("Learning curve")


def _levels(curves: Sequence[RunCurve]) -> dict[str, float]:
    """Return the baselines that are the same for all runs."""
    first, *others = [{row.name: row.nats_per_char for row in curve.baselines} for curve in curves]
    return {
        name: loss
        for name, loss in first.items()
        if loss > LEAST and all(math.isclose(each.get(name, math.nan), loss, rel_tol=1e-6) for each in others)
    }


def _frame(
    curves: Sequence[RunCurve],
    levels: Mapping[str, float],
    forecasts: Sequence[Mapping[str, float]],
    size: ChartSize,
) -> Frame:
    values = [point.loss for curve in curves for point in (*curve.held_out, *_binned(curve.training))]
    values += [curve.final_loss for curve in curves if curve.final_loss is not None]
    values += [*levels.values(), *(forecasts[0][name] for name in ("low", "high") if forecasts)]
    low, high = max(min(values), LEAST), max(values)
    last = max(point.steps for curve in curves for point in (*curve.held_out, *curve.training))
    return Frame(size, last, low / ROOM, max(high, 1.05 * low) * ROOM)


def _axes(frame: Frame) -> Iterator[str]:
    width, height, right = frame.size
    for loss in _loss_ticks(frame.low, frame.high):
        y = frame.y(loss)
        yield f'<line class="grid" x1="{LEFT}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{loss:g}</text>'
    for step in _step_ticks(frame.last, 3 if width < 500 else 5):
        yield f'<text x="{frame.x(step):.1f}" y="{height - 20}" text-anchor="middle">{step:,}</text>'
    middle = (LEFT + width - right) / 2
    yield f'<text x="{middle:.0f}" y="{height - 4}" text-anchor="middle">{escape(_("steps"))}</text>'


def _loss_ticks(low: float, high: float) -> list[float]:
    """Return round losses within limits.

    >>> _loss_ticks(1.4, 6.1)
    [1.5, 2, 2.5, 3, 4, 5, 6]
    """
    found = [round(tick * 10.0**power, 6) for power in range(-3, 4) for tick in TICKS]
    inside = [tick for tick in found if low <= tick <= high]
    inside = [int(tick) if tick == int(tick) else tick for tick in inside]
    return inside if len(inside) <= 8 else inside[:: math.ceil(len(inside) / 8)]


def _step_ticks(last: float, n: int) -> list[int]:
    """Return about n round numbers of steps, from 0.

    >>> _step_ticks(668, 5)
    [0, 200, 400, 600]
    """
    raw = max(1.0, last / n)
    decade = 10 ** math.floor(math.log10(raw))
    step = next(round(m * decade) for m in (1, 2, 5, 10) if m * decade >= raw)
    return list(range(0, int(last) + 1, max(1, step)))


def _dashed(frame: Frame, levels: Mapping[str, float]) -> Iterator[str]:
    end = frame.size.width - frame.size.right
    for loss in levels.values():
        y = f"{frame.y(loss):.1f}"
        yield f'<line class="level" x1="{LEFT}" x2="{end}" y1="{y}" y2="{y}"/>'


def _curve(frame: Frame, curve: RunCurve, style: str) -> Iterator[str]:
    if curve.training:
        yield f'<path class="{style} thin" d="{_path(frame, _binned(curve.training))}"/>'
    if curve.held_out:
        yield f'<path class="{style} line" d="{_path(frame, curve.held_out)}"/>'
        for point in curve.held_out:
            x, y = frame.x(point.steps), frame.y(point.loss)
            yield f'<circle class="{style} dot" cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>'
    if curve.final_loss is not None:
        x, y = frame.x(frame.last), frame.y(curve.final_loss)
        yield f'<path class="{style} dot" d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"/>'


def _path(frame: Frame, points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{frame.x(p.steps):.1f} {frame.y(p.loss):.1f}" for p in points)


def _binned(points: Sequence[Point]) -> list[Point]:
    """Return means of neighboring points, MAX_POINTS at most."""
    size = math.ceil(len(points) / MAX_POINTS) or 1
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [g[-1]._replace(loss=sum(point.loss for point in g) / len(g)) for g in groups]


def _forecast(frame: Frame, forecast: Mapping[str, float]) -> Iterator[str]:
    x = frame.size.width - frame.size.right + 7
    low, high, middle = (frame.y(forecast[name]) for name in ("low", "high", "nats_per_char"))
    yield f'<path class="forecast" d="M{x - 3} {low:.1f}h6M{x} {low:.1f}V{high:.1f}M{x - 3} {high:.1f}h6"/>'
    yield f'<circle class="forecast" cx="{x}" cy="{middle:.1f}" r="2.5"/>'


def _labels(frame: Frame, labels: Sequence[Label]) -> Iterator[str]:
    """Draw labels at the right, moved apart, in the order of their losses."""
    x, rows = frame.size.width - frame.size.right + 16, sorted(labels)
    places = [label.y for label in rows]
    bottom = frame.size.height - BOTTOM + 4
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + LINE)
    for i in reversed(range(len(places))):
        limit = bottom if i == len(places) - 1 else places[i + 1] - LINE
        places[i] = min(places[i], limit)
    for label, y in zip(rows, places, strict=True):
        yield f'<text class="{label.style} label" x="{x}" y="{y + 4:.1f}">{escape(label.text)}</text>'
