"""Learning curves of runs: held-out and training loss, exact answers, and what was counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from glassgpt.checkpoint import Band, CurveGroup, Run, RunsTable, XAxis, group_curves, read_curves
from glassgpt.errors import UserError
from glassgpt.language import N_, _, join_texts
from glassgpt.plots.colors import color, current, theme
from glassgpt.plots.level_labels import Level, label_levels
from glassgpt.plots.slide import BODY, slide_panels
from glassgpt.plots.style import Plot, drawing
from glassgpt.units import count

X_TITLES = {
    "steps": N_("steps"),
    "minutes": N_("minutes of training"),
    "tokens": N_("tokens read in training"),
}
HEIGHT = 5.6
"""Height of the axes on a slide, inches."""
ROOM = 1.06
"""Room above and below the curves, as a factor."""
TICKS = ((1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0), (1.0, 2.0, 5.0), (1.0,))
"""Ticks of a decade: for less than one decade, up to two, and more."""
LEAST = 1e-3
"""Smallest loss on a logarithmic axis."""


def plot(
    runs: Run | RunsTable | Path | str | Iterable[Run | Path | str],
    *,
    x: XAxis = "steps",
    by: str | None = None,
    theme: Literal["light", "dark"] = "light",
) -> Plot:
    """Draw the learning curves of runs on a slide; a notebook shows it.

    Held-out losses have dots, training losses are thin, and counted baselines are dashed. Runs that differ
    only in their seed are one curve with a band of one standard deviation. Tasks with answers have a second
    chart with the share of exact answers.

    runs: a run, several, a table of runs, or a folder with runs. x: `steps`, `minutes` or `tokens`. by: name
    of a setting whose values group the runs, such as `lr`. theme: `light` or `dark`. Save it with
    `plot.savefig("curves.svg")`. Raises UserError for a run without an evaluation.
    """
    found: Iterable[Run | Path | str] | Run | Path | str
    found = [run.path for run in runs.runs] if isinstance(runs, RunsTable) else runs
    return plot_curves(group_curves(read_curves(found), by), x=x, theme_name=theme)


def plot_curves(groups: Sequence[CurveGroup], *, x: XAxis = "steps", theme_name: str = "light") -> Plot:
    """Draw groups of runs; see `plot`."""
    if x not in X_TITLES:
        raise UserError("`x`: {x!r} is not known. Give {known}.", x=x, known=", ".join(X_TITLES))
    with theme(theme_name):
        return _drawn(groups, x)


@drawing
def _drawn(groups: Sequence[CurveGroup], x: XAxis) -> Plot:
    answers = any(len(group.exact(x)) for group in groups)
    slide, (left, *right) = slide_panels(2 if answers else 1)
    _draw_losses(left, groups, x)
    for axes in right:
        _draw_answers(axes, groups, x)
    for axes in (left, *right):
        axes.set_xlabel(_(X_TITLES[x]))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _amount(value)))
        axes.grid(color=current().line, linewidth=0.6)
        axes.set_axisbelow(True)
    return slide


def _draw_losses(axes: Axes, groups: Sequence[CurveGroup], x: XAxis) -> None:
    units = {curve.summary.unit for group in groups for curve in group.curves}
    axes.set_ylabel(_("loss, {units}", units=join_texts(" or ", (N_(unit) for unit in sorted(units)))))
    trained, held_out = [g.training(x) for g in groups], [g.held_out(x) for g in groups]
    for at, band in enumerate(trained):
        axes.plot(band.x, band.mean, color=color(at), linewidth=0.9, alpha=0.65)
    ends = _draw_bands(axes, groups, held_out)
    for at, group in enumerate(groups):
        if final := group.spread("final_loss"):
            axes.plot([group.last(x)], [final.mean], marker="D", markersize=8, color=color(at), clip_on=False)
            ends[at] = Level(final.mean, f"{group.label} {final}", color(at))
    counted = _common({row.name: row.nats_per_char for row in c.baselines} for g in groups for c in g.curves)
    _limit(axes, groups, [*trained, *held_out], counted, [level.y for level in ends.values()])
    levels = _draw_levels(axes, counted, lambda name, loss: f"{_(name)} {loss:.2f}")
    label_levels(axes, [*ends.values(), *levels], BODY, HEIGHT)
    _explain(axes, groups, any(map(len, trained)))


def _draw_answers(axes: Axes, groups: Sequence[CurveGroup], x: XAxis) -> None:
    axes.set_ylabel(_("exact answers"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    ends = _draw_bands(axes, groups, [group.exact(x) for group in groups], ".1%")
    counted = _common({row.name: row.share for row in c.answers} for g in groups for c in g.curves)
    axes.set_ylim(0, 1.02 * max(1e-3, *(level.y for level in ends.values()), *counted.values()))
    levels = _draw_levels(axes, counted, lambda name, share: f"{_(name)} {share:.1%}")
    label_levels(axes, [*ends.values(), *levels], BODY, HEIGHT)


def _draw_bands(
    axes: Axes, groups: Sequence[CurveGroup], bands: Sequence[Band], digits: str = ".3f"
) -> dict[int, Level]:
    """Draw the mean of each group with its deviation; return the labels of their ends by group."""
    ends: dict[int, Level] = {}
    for at, (group, band) in enumerate(zip(groups, bands, strict=True)):
        if not len(band):
            continue
        dots = "o" if len(band) <= 40 else ""
        axes.plot(band.x, band.mean, color=color(at), linewidth=2.4, marker=dots, markersize=5)
        if len(group.curves) > 1:
            edges = (band.mean - band.sd, band.mean + band.sd)
            axes.fill_between(band.x, *edges, color=color(at), alpha=0.25, linewidth=0)
        ends[at] = Level(float(band.mean[-1]), f"{group.label} {band.mean[-1]:{digits}}", color(at))
    return ends


def _common(baselines: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the baselines that are the same for all runs: those on the same held-out text."""
    first, *others = [dict(each) for each in baselines] or [{}]
    return {
        name: value
        for name, value in first.items()
        if all(math.isclose(each.get(name, math.nan), value, rel_tol=1e-6) for each in others)
    }


def _limit(
    axes: Axes,
    groups: Sequence[CurveGroup],
    bands: Sequence[Band],
    counted: Mapping[str, float],
    ends: Sequence[float],
) -> None:
    """Choose the scale of the losses: all of one group; of several, what tells them apart."""
    shown = bands if len(groups) == 1 else bands[len(groups) :]
    values = np.concatenate([band.mean for band in shown if len(band)] or [np.ones(1)])
    low, high = min([float(values.min()), *ends]), float(values.max())
    if len(groups) == 1:
        low, high = min([low, *counted.values()]), max([high, *counted.values()])
    low = max(low, LEAST)
    axes.set_yscale("log")
    axes.set_ylim(low / ROOM, max(high, 1.001 * low) * ROOM)
    axes.yaxis.set_major_locator(FixedLocator(_ticks(*axes.get_ylim())))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _ticks(low: float, high: float) -> list[float]:
    """Return ticks of a logarithmic axis; at equal distances where a decade's are fewer than four.

    >>> _ticks(1.4, 6.1), _ticks(1.9, 2.11), _ticks(0.001, 3)
    ([1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0], [1.9, 1.95, 2.0, 2.05, 2.1], [0.001, 0.01, 0.1, 1.0])
    """
    chosen = TICKS[sum(high / low > limit for limit in (10, 100))]
    ticks = [round(tick * 10.0**power, 6) for power in range(-3, 4) for tick in chosen]
    inside = [tick for tick in ticks if low <= tick <= high]
    if len(inside) >= 4:
        return inside
    room = (high - low) / 3
    decade = 10.0 ** math.floor(math.log10(room))
    step = max(n * decade for n in (1, 2, 5) if n * decade <= room)
    return [round(n * step, 9) for n in range(math.ceil(low / step - 1e-9), int(high / step + 1e-9) + 1)]


def _draw_levels(axes: Axes, counted: Mapping[str, float], label: Callable[[str, float], str]) -> list[Level]:
    """Draw baselines within the limits as dashed lines; return their labels."""
    low, high = axes.get_ylim()
    inside = {name: value for name, value in counted.items() if low <= value <= high}
    for value in inside.values():
        axes.axhline(value, color=current().faint, linewidth=1.2, linestyle=(0, (5, 4)), zorder=0.9)
    return [Level(value, label(name, value), current().faint) for name, value in inside.items()]


def _explain(axes: Axes, groups: Sequence[CurveGroup], trained: bool) -> None:
    """Say in the legend what the kinds of lines are."""
    gray = current().text
    axes.plot(
        [], [], color=gray, linewidth=2.4, marker="o", markersize=5, label=_("held out, while training")
    )
    if trained:
        axes.plot([], [], color=gray, linewidth=0.9, label=_("training batches"))
    if any(group.spread("final_loss") for group in groups):
        axes.plot([], [], "D", color=gray, markersize=8, label=_("verdict: best step, more context"))
    if any(len(group.curves) > 1 for group in groups):
        axes.fill_between(
            [], [], color=gray, alpha=0.25, linewidth=0, label=_("± standard deviation of seeds")
        )
    axes.legend(loc="upper right")


def _amount(value: float) -> str:
    """Return the label of a tick: 500, 1.5 k."""
    return count(value) if value >= 1000 else f"{value:g}"
