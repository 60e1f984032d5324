"""Curves, bars and panels. Expected values are dashed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.plots.cells import Values, inches, inches_across
from glassgpt.plots.colors import color, current
from glassgpt.plots.labels import broken_lines
from glassgpt.plots.numbers import Numbers, array
from glassgpt.plots.style import Plot, drawing, plot_of
from glassgpt.plots.ticks import log_axes

SIZE = (6.4, 4.2)  # inches
# The eighth curve has the color of the first, but another style.
STYLES = ("-", (0, (6, 1.5)), (0, (4, 1.2, 1, 1.2)), (0, (1.5, 1)))
EXPECTED: dict[str, Any] = {"linestyle": (0, (3, 1.5)), "linewidth": 2, "label": "_"}
ACROSS = 0.8  # share of given axes for the bars; the rest is for labels
DASHES = (0, (5, 3))
WITH_NUMBERS = 12  # bars with numbers on them, at most

Curve = tuple[Numbers, Numbers]


@drawing
def panels(
    count: int, *, across: int | None = None, size: tuple[float, float] = SIZE, title: str = ""
) -> tuple[Plot, list[Axes]]:
    """Return a plot with `count` axes; pass each to a drawing function as `axes=`.

    across: panels side by side, by default up to three. size: of each panel, in inches.
    """
    if count < 1 or (across is not None and across < 1):
        raise UserError(
            "{count} panels, {across} across: too few. Pass at least one.", count=count, across=across
        )
    across = min(across or 3, count)
    down = math.ceil(count / across)
    plot = Plot(across * size[0], down * size[1] + (0.4 if title else 0.0))
    plot.suptitle(title)
    return plot, [plot.add_subplot(down, across, at + 1) for at in range(count)]


@drawing
def lines(
    series: Mapping[str, Curve],
    *,
    x_title: str = "",
    y_title: str = "",
    title: str = "",
    log_x: bool = False,
    log_y: bool = False,
    expected: Mapping[str, Curve] | None = None,
    expected_title: str = "",
    bands: Mapping[str, Curve] | None = None,
    axes: Axes | None = None,
) -> Plot:
    """Draw curves by name.

    series: x and y, each (n,); NaN leaves a gap, a single point becomes a dot. expected: dashed curves, in
    the color of the series of the same name, or gray; a single point becomes a level line through the chart.
    expected_title: name in the legend of dashed curves that share the name of a series.
    bands: the lower and upper edge, each (n,), at the x of the series of the same name. log_x, log_y:
    logarithmic axes. Raises UserError if lengths differ, for a band without a series, and for a logarithmic
    axis without values above zero.
    """
    axes = axes or Plot(*SIZE).add_subplot()
    curves = {name: _curve(name, *curve) for name, curve in series.items()}
    log_axes(axes, [*curves.values()], log_x, log_y)
    for at, (name, (x, y)) in enumerate(curves.items()):
        few = np.isfinite(y).sum() <= 20
        style = STYLES[at // len(current().palette) % len(STYLES)]
        axes.plot(x, y, label=name, color=color(at), linewidth=2.2, linestyle=style, **_dots(few))
    for name, edges in (bands or {}).items():
        if name not in curves:
            raise UserError(
                'band "{name}": no series has this name. There are {curves}.',
                name=name,
                curves=", ".join(curves),
            )
        low, high = (_curve(name, curves[name][0], edge)[1] for edge in edges)
        tint = color([*curves].index(name))
        axes.fill_between(curves[name][0], low, high, color=tint, alpha=0.18, linewidth=0)
    for name, curve in (expected or {}).items():
        _dashed(axes, name, _curve(name, *curve), [*curves])
    if expected_title:
        axes.plot([], [], color=current().faint, linestyle=DASHES, linewidth=1.8, label=expected_title)
    return _finish(axes, x_title, y_title, title, grid="both")


@drawing
def bars(
    groups: Sequence[str],
    values: Mapping[str, Numbers],
    *,
    y_title: str = "",
    title: str = "",
    errors: Mapping[str, Numbers] | None = None,
    expected: Mapping[str, Numbers] | None = None,
    expected_title: str = "",
    numbers: bool | None = None,
    axes: Axes | None = None,
) -> Plot:
    """Draw bars side by side in each group, with numbers if there is room.

    groups: n labels; values: n heights for each name, NaN for no bar. errors: n half-lengths of error bars,
    by name. expected: n heights by name, as dashed lines across the bars; `expected_title` is their name in
    the legend. numbers: write each height over its bar; by default up to 12 bars. Raises UserError if lengths
    differ.
    """
    heights = {name: _heights(name, groups, given) for name, given in values.items()}
    errors, expected = errors or {}, expected or {}
    for name in [*errors, *expected]:
        if name not in heights:
            raise UserError(
                '"{name}": no bars have this name. There are {heights}.',
                name=name,
                heights=", ".join(heights),
            )
    if not heights or not groups:
        raise UserError(
            "no bars: groups or values are empty. Pass at least one group and one name with its values."
        )
    count = len(groups) * len(heights)
    axes = axes or Plot(float(np.clip(0.45 * count + 2, SIZE[0], 13)), SIZE[1]).add_subplot()
    width = 0.8 / len(heights)
    for at, (name, one) in enumerate(heights.items()):
        x = np.arange(len(groups)) + (at - (len(heights) - 1) / 2) * width
        lengths = _heights(name, groups, errors[name]) if name in errors else None
        key = name if len(heights) > 1 else "_"  # matplotlib leaves "_" out of the legend
        drawn = axes.bar(
            x, one, 0.92 * width, color=color(at), label=key, yerr=lengths, capsize=4, ecolor=current().text
        )
        if numbers if numbers is not None else count <= WITH_NUMBERS:
            written = [_figure(value) for value in one]
            room = inches_across(axes) * ACROSS / len(groups) * width
            turned = 90 if inches(written, 12) > room else 0
            axes.bar_label(drawn, written, padding=3, fontsize=12, rotation=turned)
        if name in expected:
            _levels(axes, x, _heights(name, groups, expected[name]), width)
    if expected:
        axes.plot([], [], **{**EXPECTED, "color": current().text, "label": expected_title or "_"})
    _name_groups(axes, groups)
    axes.axhline(0, color=current().faint, linewidth=0.8)
    axes.margins(y=0.15)
    return _finish(axes, "", y_title, title, grid="y")


def _curve(name: str, x: Numbers, y: Numbers) -> tuple[Values, Values]:
    xs, ys = (
        array(x, (1,), N_('the x of "{name}"', name=name)),
        array(y, (1,), N_('the y of "{name}"', name=name)),
    )
    if len(xs) != len(ys):
        raise UserError(
            '"{name}": {n_xs} x and {n_ys} y. Pass as many of both.', name=name, n_xs=len(xs), n_ys=len(ys)
        )
    return xs, ys


def _heights(name: str, groups: Sequence[str], given: Numbers) -> Values:
    heights = array(given, (1,), N_('the values of "{name}"', name=name))
    if len(heights) != len(groups):
        raise UserError(
            '"{name}": {n_heights} values for {n_groups} groups. Pass one for each.',
            name=name,
            n_heights=len(heights),
            n_groups=len(groups),
        )
    return heights


def _dots(few: bool) -> dict[str, Any]:
    return {"marker": "o", "markersize": 5} if few else {}


def _dashed(axes: Axes, name: str, curve: tuple[Values, Values], names: list[str]) -> None:
    """Draw a dashed curve; without a legend entry if a series has its name."""
    tint = color(names.index(name)) if name in names else current().faint
    style: dict[str, Any] = {"color": tint, "linewidth": 1.8, "linestyle": DASHES, "zorder": 1.9}
    style["label"] = "_" if name in names else name
    if len(curve[0]) == 1:
        axes.axhline(curve[1][0], **style)
    else:
        axes.plot(*curve, **style)


def _levels(axes: Axes, x: NDArray[np.floating], y: Values, width: float) -> None:
    for middle, level in zip(x, y, strict=True):
        axes.plot([middle - width / 2, middle + width / 2], [level, level], color=current().text, **EXPECTED)


def _figure(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if np.isfinite(value) else ""


def _name_groups(axes: Axes, groups: Sequence[str]) -> None:
    room = 0.9 * inches_across(axes) / len(groups)
    lines = ["\n".join(broken_lines(name, room, 12)) for name in groups]
    crowded = inches([line for name in lines for line in name.split("\n")], 12) > room
    slanted: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(
        np.arange(len(groups)), groups if crowded else lines, fontsize=12, **(slanted if crowded else {})
    )
    axes.tick_params(axis="x", length=0)


def _finish(axes: Axes, x_title: str, y_title: str, title: str, grid: Literal["both", "y"]) -> Plot:
    axes.set(xlabel=x_title, ylabel=y_title, title=title)
    axes.grid(axis=grid, color=current().line, linewidth=0.6)
    axes.set_axisbelow(True)
    if any(not name.startswith("_") for name in axes.get_legend_handles_labels()[1]):
        axes.legend()
    return plot_of(axes)
