"""`glassgpt compare`: two sets of settings trained in pairs, and the answer in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from glassgpt.cli.arguments import Json, Source
from glassgpt.cli.commands.train import LENGTHS
from glassgpt.config import RunConfig, Tables, merge, read_toml
from glassgpt.errors import UserError
from glassgpt.option_groups import BASICS, DATA, OUTPUT, SAVING

if TYPE_CHECKING:
    from glassgpt.diagnose import Comparison
    from glassgpt.generate import SamplingParams


def compare(
    a: str,
    b: str,
    /,
    *sources: Source,
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
    """Compare two sets of settings, fairly.

    Trains both with the same seeds in turn, up to eight pairs, and says if one is better, or which difference
    would have been seen. Each pair shares its initial weights, where their shapes agree, the order of the
    text and the held-out text. The same command goes on after Ctrl-C or a kill.

    The length is equal: --minutes, --steps, --tokens or --flops, of each training; 1 minute by default. Other
    options are settings of both.

    Two ways of sampling are compared on one run, without training: `glassgpt compare temperature=0.7 top_k=40
    runs/notes`.

    Parameters
    ----------
    a
        Settings: a TOML file, the folder of a run, a preset (speedrun, nano), or options of `train` in quotes
        ("--lr 0.01 --size nano", "lr=0.01"). Or a way of sampling ("temperature=0.7").
    b
        The other settings.
    sources
        Files, folders, globs, or a corpus: the text of both. Texts may be part of A and B instead. For ways
        of sampling: the run.
    pairs
        Pairs to train at most, 1 to 16. Fewer than 6 can show nothing.
    flops
        Length of each training in floating point operations of its matrix products, such as 1e12.
    held_out
        Text to measure both on; required if A and B learn from different texts.
    config
        TOML file with settings of both.
    out
        Folder of the comparison; by default below comparisons/, named by what is compared.
    keep
        Keep all runs in that folder.
    plot
        File for a plot: .png, .svg or .pdf. Needs the extra [plot].
    json
        Print the result as JSON.
    """
    from glassgpt.cli.view.comparison import print_comparison, watch
    from glassgpt.train.comparison import compared, plan_comparison

    check_plot(plot)
    if (samplers := both_samplers(a, b)) is not None:
        found = compare_ways_of_sampling(samplers, (a, b), sources, pairs, settings, json)
        save_plot(found, plot)
        return
    options = experiment_options(pairs, flops, held_out, out, keep)
    experiment = plan_comparison(a, b, base_settings(settings, sources, config, flops), **options)
    watch(experiment, {"A": a, "B": b}, json)
    found = compared(experiment)
    print_comparison(experiment, found, json)
    save_plot(found, plot)


def both_samplers(a: str, b: str) -> tuple[SamplingParams, SamplingParams] | None:
    """Return two ways of sampling, if both arms name one."""
    from glassgpt.train import sampler_in_words

    first, second = sampler_in_words(a), sampler_in_words(b)
    return None if first is None or second is None else (first, second)


def compare_ways_of_sampling(
    samplers: tuple[SamplingParams, SamplingParams],
    words: tuple[str, str],
    sources: tuple[str, ...],
    pairs: int,
    settings: RunConfig | None,
    as_json: bool,
) -> Comparison:
    """Compare two ways of sampling from one run, and print the answer."""
    from glassgpt.cli.view.comparison import print_samplers, working_on_pairs
    from glassgpt.train import compare_samplers

    if len(sources) != 1 or (settings and settings.given()):
        raise UserError(
            "two ways of sampling need one run to write with, and no settings of a training. Write for "
            "instance `glassgpt compare temperature=0.7 top_p=0.9 runs/notes`."
        )
    with working_on_pairs(pairs, as_json) as on_pair:
        found = compare_samplers(*samplers, sources[0], pairs=pairs, on_pair=on_pair)
    print_samplers(found, words, sources[0], as_json)
    return found


def save_plot(found: Comparison, plot: Path | None) -> None:
    """Draw the pairs of a comparison into a file, if one was asked for."""
    if plot is not None:
        from glassgpt.plots import plot_comparison, save

        save(plot_comparison(found), plot)


def base_settings(
    settings: RunConfig | None, sources: tuple[str, ...], config: Path | None, flops: float | None
) -> Tables:
    """Return the settings of all arms: those of a file, and options over it."""
    options = settings.given() if settings else {}
    if sources:
        options = merge(options, {"data": {"sources": sources}})
    file = read_toml(config) if config else {}
    if options.get("train", {}).keys() & LENGTHS or flops:  # it replaces the length of the file
        file["train"] = {name: value for name, value in file.get("train", {}).items() if name not in LENGTHS}
    return merge(file, options)


def experiment_options(
    pairs: int, flops: float | None, held_out: Path | None, out: Path | None, keep: bool
) -> dict[str, Any]:
    """Return options of a command as fields of an experiment."""
    length = {} if flops is None else {"length": {"flops": flops}}
    return {"pairs": pairs, "held_out": held_out, "out": out, "keep": keep, **length}


def check_plot(plot: Path | None) -> None:
    """Raise UserError before any training for a plot that cannot be drawn."""
    if plot is not None:
        from glassgpt.plots import check_suffix

        check_suffix(plot)
