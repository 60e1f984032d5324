"""`glassgpt explain`: a chapter of the notes, measured live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from glassgpt.cli.view.numbers import numbers_table
from glassgpt.cli.view.render import wrapped
from glassgpt.cli.view.terminal import Terminal, print_json, print_line, printable
from glassgpt.errors import UserError
from glassgpt.explain import MARKS, Chapter, Grid, chapter, expectation, figure, titles

WIDTH = 96


def explain(
    name: str | None = None,
    *,
    run: Path | None = None,
    plot: Path | None = None,
    dark: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    lang: Literal["en", "zh"] | None = None,
    seed: int = 0,
    seconds: float | None = None,
) -> None:
    """Measure a fact about transformers. Without a name, list the chapters.

    Parameters
    ----------
    name
        A chapter: loss, sampling, temperature, weighted-sum, query-key, scale, graph, mask, cross, qkv,
        buffers, ladder.
    run
        Folder of a run to measure. A built-in run takes its place if the run cannot show the fact.
    plot
        Write the plot to this file, too: png, svg or pdf (needs matplotlib).
    dark
        Draw the plot on a dark ground.
    json
        Print text, tables and findings as JSON.
    lang
        Language, en or zh; by default that of the environment.
    seconds
        Training time of each of the five rungs of the chapter ladder; 0.3 by default.
    seed
        Random seed. It changes the figures, but should not change the findings.
    """
    if name is None:
        if plot is not None or run is not None:
            raise UserError("--plot and --run: no chapter. Name one, as in `glassgpt explain loss`.")
        _list(lang, json)
        return
    if dark and plot is None:
        raise UserError("--dark: there is no file for the plot. Add --plot.")
    if plot is not None:
        from glassgpt.plots import check_suffix

        check_suffix(plot)  # before any work
    read = chapter(name, run, seed=seed, language=lang, seconds=seconds)
    if json:
        print_json(read.to_dict(), indent=1)
    else:
        console = Terminal()
        console.width = min(console.width, WIDTH)
        console.print(_page(read, console.width))
    if plot is not None:
        _save(read, plot, "dark" if dark else "light", quiet=json)


def _save(read: Chapter, plot: Path, theme: str, quiet: bool) -> None:
    from glassgpt.plots import save

    save(read.plot(theme), plot)
    _ = read.gettext
    if not quiet:
        print_line(_("plot: {path}").format(path=plot))


def _list(lang: str | None, as_json: bool) -> None:
    found = titles(lang)
    if as_json:
        print_json(found, indent=1)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, title in found.items():
        table.add_row(Text(name, "bold"), title)
    console = Terminal()
    console.table(table)
    how = "\nglassgpt explain NAME [--run runs/…] [--plot plot.svg]"
    console.print(how, style="dim")


def _page(read: Chapter, width: int) -> RenderableType:
    parts: list[RenderableType] = [Text(read.title, "bold cyan"), Text()]
    for part in read.body:
        parts += [Text(wrapped(printable(part), width)) if isinstance(part, str) else _grid(part), Text()]
    return Group(*parts, _findings(read))


def _grid(grid: Grid) -> RenderableType:
    table = numbers_table(grid.title, grid.rows, grid.columns, grid.values, grid.decimals, grid.shade)
    return Padding(table, (0, 0, 0, 2))


def _findings(read: Chapter) -> Table:
    _ = read.gettext
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column(_("measured"), justify="right")
    table.add_column(_("expected"), justify="right")
    table.add_column("")
    for finding in read.findings:
        style = {"ok": "green", "fail": "red"}.get(finding.outcome, "yellow")
        mark = Text(f"{MARKS[finding.outcome]} {finding.advice}", style)
        table.add_row(Text(finding.name), figure(finding.observed), expectation(finding), mark)
    return table
