"""`glassgpt plot`: learning curves of runs, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from glassgpt.cli.arguments import Json
from glassgpt.cli.commands.compare import check_plot
from glassgpt.cli.view.curves import curve_rows, print_curves
from glassgpt.cli.view.terminal import print_json, print_line
from glassgpt.errors import UserError
from glassgpt.language import _


def plot(
    *runs: Path,
    out: Path | None = None,
    x: Literal["steps", "minutes", "tokens"] = "steps",
    by: str | None = None,
    dark: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Plot the learning curves of runs, and print their final figures.

    Shows held-out and training loss next to the counted baselines, and exact answers where a task has them.
    Runs that differ only in their seed become one curve, with a band of one standard deviation. Running,
    stopped and damaged runs can be plotted, too.

    Parameters
    ----------
    runs
        Folders of runs, or a folder with runs; by default `runs`.
    out
        File for the plot: .png, .svg or .pdf. Needs the extra [plot].
    x
        Horizontal axis: steps, minutes of training, or tokens read.
    by
        Group the runs by a setting, such as lr, in place of their seeds.
    dark
        Draw on a dark ground.
    json
        Print the final figures and the curves as JSON.
    """
    if dark and out is None:
        raise UserError("--dark: there is no file for the plot. Add --out.")
    check_plot(out)
    from glassgpt.checkpoint import group_curves, read_curves

    groups = group_curves(read_curves(runs or (Path("runs"),)), by)
    if json:
        print_json(curve_rows(groups, x))
    else:
        print_curves(groups)
    if out is not None:
        from glassgpt.plots import plot_curves, save

        save(plot_curves(groups, x=x, theme_name="dark" if dark else "light"), out)
        if not json:
            print_line(_("plot  {out}", out=out))
