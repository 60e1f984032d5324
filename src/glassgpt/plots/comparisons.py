"""Plots of comparisons: the losses of each pair, and the differences with their interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from glassgpt.diagnose import Comparison, Sweep
from glassgpt.language import N_, _
from glassgpt.plots.charts import panels
from glassgpt.plots.colors import color, current
from glassgpt.plots.style import Plot, drawing

LOSS = N_("loss, nats per character")
SHORT = 24
"""Longest name of an arm on an axis, in characters."""


@drawing
def plot_comparison(found: Comparison) -> Plot:
    """Draw the losses of each pair as a line, and the differences with their 95 % interval."""
    plot, (left, right) = panels(2, size=(4.4, 4.2))
    plot.suptitle(_(found.sentence), fontsize=12)
    losses = np.asarray(found.losses)  # (n, 2)
    for pair in losses:
        left.plot([0, 1], pair, color=color(0), alpha=0.45, linewidth=1.6, marker="o", markersize=5)
    left.plot(
        [0, 1], losses.mean(0), color=current().text, linewidth=2.4, marker="D", markersize=6, label=_("mean")
    )
    left.set_xlim(-0.3, 1.3)
    left.set_xticks([0, 1], found.names)
    left.set_ylabel(_(LOSS))
    left.legend()
    _differences(right, found)
    for axes in (left, right):
        axes.grid(axis="y", color=current().line, linewidth=0.6)
        axes.set_axisbelow(True)
    return plot


def _differences(axes: Axes, found: Comparison) -> None:
    paired = found.paired
    pairs = np.arange(1, len(paired.differences) + 1)
    axes.axhline(0, color=current().faint, linewidth=1.2)
    if paired.low is not None and paired.high is not None:
        axes.axhspan(
            paired.low, paired.high, color=color(0), alpha=0.16, linewidth=0, label=_("95 % interval")
        )
    axes.axhline(paired.mean, color=current().text, linewidth=2, label=_("mean"))
    axes.plot(pairs, paired.differences, "o", color=color(0), markersize=7)
    axes.set_xticks(pairs)
    axes.set_xlabel(_("pair"))
    axes.set_ylabel(_("{first} − {second}, nats per character", first=found.names[0], second=found.names[1]))
    axes.margins(y=0.15)
    axes.legend()


@drawing
def plot_sweep(found: Sweep) -> Plot:
    """Draw the losses of each arm, a line for each seed, and the means."""
    names = list(found.losses)
    plot, (axes,) = panels(1, size=(max(5.0, 1.1 * len(names) + 2), 4.2))
    losses = np.asarray(list(found.losses.values()))  # (n_arms, n_seeds)
    x = np.arange(len(names))
    for seed in losses.T:
        axes.plot(x, seed, color=color(0), alpha=0.4, linewidth=1.2, marker="o", markersize=4)
    axes.plot(
        x, losses.mean(1), color=current().text, linewidth=2.2, marker="D", markersize=6, label=_("mean")
    )
    marked = [names.index(each.name) for each in found.comparisons if each.is_real]
    if marked:
        axes.plot(
            marked,
            losses.mean(1)[marked],
            "o",
            markersize=13,
            fillstyle="none",
            color=current().text,
            label=_("differs from {name}", name=names[0]),
        )
    labels = [name if len(name) <= SHORT else name[: SHORT - 1] + "…" for name in names]
    slanted: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(x, labels, **(slanted if len(names) > 3 else {}))
    axes.set_xlim(-0.4, len(names) - 0.6)
    axes.set_ylabel(_(LOSS))
    axes.grid(axis="y", color=current().line, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend()
    return plot
