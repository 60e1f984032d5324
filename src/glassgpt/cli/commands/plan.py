"""`glassgpt plan`: what a training would choose and reach, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.arguments import Json, Source
from glassgpt.cli.view.terminal import working
from glassgpt.config import Layer, RunConfig, merge, resolve
from glassgpt.language import _
from glassgpt.option_groups import OUTPUT


def plan(
    *sources: Source,
    settings: Annotated[RunConfig | None, Parameter(name="*")] = None,
    plot: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    json: Json = False,
) -> None:
    """Show the best settings and a forecast of the loss for several lengths, without training.

    Reads and counts the text, times a few training steps on this machine, and forecasts. Any setting can be
    fixed by its option; the rest adapts to it. By default the lengths are 1, 3, 10, 60 and 600 minutes.

    Parameters
    ----------
    sources
        Files, folders, globs, `-` for standard input, or a corpus: python (the default), shakespeare.
    plot
        Draw the forecast by minutes into this file (png, svg, pdf; needs the extra `plot`).
    json
        Print the plan as JSON.
    """
    options = settings.given() if settings else {}
    if sources:
        options = merge(options, {"data": {"sources": sources}})
    given = [Layer("option", options)]
    minutes = resolve(given).config.train.minutes  # errors come before torch is imported
    if plot is not None:
        from glassgpt.plots import check_suffix

        check_suffix(plot)
    from glassgpt.cli.view.autopilot import print_outlook, save_plot
    from glassgpt.train.outlooks import MINUTES, outlook

    with working("reading") as status:
        found = outlook(
            given, (minutes,) if minutes else MINUTES, lambda doing: status.update(f"{_(doing)} …")
        )
    print_outlook(found, as_json=json)
    if plot is not None:
        save_plot(found, plot)
