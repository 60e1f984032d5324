"""Slide of `ladder`: the losses of all rungs, and the gain of each over the one below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.plots import Plot, bars, drawing, lines, slide_panels


@drawing
def draw(
    _: Translate,
    title: str,
    steps: Sequence[int],
    losses: Mapping[str, Tensor],
    gains: Mapping[str, float],
    noise: float,
) -> Plot:
    """Draw losses by rung (seeds, steps), and gains with the noise of a gain, all in nats."""
    plot, axes = slide_panels(2, title=title)
    lines(
        {name: (steps, each.mean(0)) for name, each in losses.items()},
        bands={name: (each.amin(0), each.amax(0)) for name, each in losses.items()},
        x_title=_("steps"),
        y_title=_("nats per held-out token"),
        title=_("three seeds: mean and range"),
        axes=axes[0],
    )
    bars(
        [*gains],
        {"": [*gains.values()]},
        errors={"": [noise] * len(gains)},
        y_title=_("nats below the previous rung"),
        title=_("what each rung adds, and the noise"),
        axes=axes[1],
    )
    return plot
