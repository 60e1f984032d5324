"""`glassgpt runs`: list the runs of a folder with their state and result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from glassgpt.checkpoint import RunsTable
from glassgpt.checkpoint import runs as list_runs
from glassgpt.cli.view.runs import print_runs
from glassgpt.cli.view.terminal import print_text
from glassgpt.errors import UserError

Switch = Annotated[bool, Parameter(negative="")]


def runs(
    folder: Path = Path("runs"),
    *,
    sort: Literal["name", "loss", "date"] = "name",
    task: str | None = None,
    wide: Switch = False,
    json: Switch = False,
    csv: Switch = False,
    markdown: Switch = False,
    latex: Switch = False,
) -> None:
    """List the runs in a folder and compare each with its best baseline.

    A row for each run: the settings in which the runs differ, the held-out loss (the verdict's, or else the
    best so far), and the state. On a narrow terminal the less important columns are left out.

    Parameters
    ----------
    folder
        Folder with the runs.
    sort
        Order: by name, loss (best first) or date (newest first).
    task
        Only runs of this task: language, translation, …
    wide
        Show all columns, however wide the terminal is.
    json
        Print a list of objects, with all figures.
    csv
        Print a table for a spreadsheet, with all figures.
    markdown
        Print a table for a README.
    latex
        Print a table for a paper; needs the package booktabs.
    """
    formats = {"--json": json, "--csv": csv, "--markdown": markdown, "--latex": latex}
    chosen = [name for name, is_on in formats.items() if is_on]
    if len(chosen) > 1:
        raise UserError("{chosen}: two formats at once. Give one of them.", chosen=" and ".join(chosen))
    found = list_runs(folder, sort=sort, task=task)
    if chosen:
        print_text(_formatted(found, chosen[0]).rstrip("\n") + "\n")
    else:
        print_runs(found, wide)


def _formatted(found: RunsTable, flag: str) -> str:
    return {
        "--json": found.to_json,
        "--csv": found.to_csv,
        "--markdown": found.to_markdown,
        "--latex": found.to_latex,
    }[flag]()
