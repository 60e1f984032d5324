"""`glassgpt sweep`: several values of one or two settings, on the same footing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.arguments import Json, Source
from glassgpt.cli.commands.compare import base_settings, check_plot, experiment_options
from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.option_groups import BASICS, DATA, OUTPUT, SAVING


def sweep(
    *sources: Source,
    vary: Annotated[list[str], Parameter(negative="", group=BASICS)],
    settings: Annotated[RunConfig | None, Parameter(name="*")] = None,
    pairs: Annotated[int, Parameter(group=BASICS)] = 8,
    flops: Annotated[float | None, Parameter(group=BASICS)] = None,
    held_out: Annotated[Path | None, Parameter(group=DATA)] = None,
    config: Annotated[Path | None, Parameter(group=BASICS)] = None,
    out: Annotated[Path | None, Parameter(group=BASICS)] = None,
    keep: Annotated[bool, Parameter(negative="", group=SAVING)] = False,
    plot: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    json: Json = False,
) -> None:
    """Compare several values of a setting, fairly.

    Trains each value with the same seeds, and compares each with the first, the reference. The p-values are
    corrected for the number of comparisons. Two settings give every combination. The same command goes on
    after Ctrl-C or a kill.

    The length is equal: --minutes, --steps, --tokens or --flops, of each training; 1 minute by default.

    Parameters
    ----------
    sources
        Files, folders, globs, or a corpus.
    vary
        A setting and its values: lr=0.01,0.02,0.04. May be given twice.
    pairs
        Trainings of each value, 1 to 16, with as many seeds. Fewer than 6 can show nothing.
    flops
        Length of each training in floating point operations of its matrix products, such as 1e12.
    held_out
        Text to measure all on.
    config
        TOML file with settings of all.
    out
        Folder of the sweep; by default below comparisons/, named by what is compared.
    keep
        Keep all runs in that folder.
    plot
        File for a plot: .png, .svg or .pdf. Needs the extra [plot].
    json
        Print the result as JSON.
    """
    from glassgpt.cli.view.comparison import print_sweep, watch
    from glassgpt.train.comparison import plan_sweep, swept

    check_plot(plot)
    values = dict(map(_values, vary))
    options = experiment_options(pairs, flops, held_out, out, keep)
    experiment = plan_sweep(values, base_settings(settings, sources, config, flops), **options)
    watch(experiment, {}, json)
    found = swept(experiment)
    print_sweep(experiment, found, json)
    if plot is not None:
        from glassgpt.plots import plot_sweep, save

        save(plot_sweep(found), plot)


def _values(word: str) -> tuple[str, list[str]]:
    """Split `lr=0.01,0.02` into a setting and its values."""
    name, _, values = word.partition("=")
    if not name or not values:
        raise UserError(
            "--vary {word}: no values. Give a setting and its values, as in lr=0.01,0.02.", word=word
        )
    return name, [value.strip() for value in values.split(",")]
