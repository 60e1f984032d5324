"""`glassgpt report`: one HTML file about a run, and its check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.view.terminal import Terminal
from glassgpt.errors import UserError
from glassgpt.language import _, language
from glassgpt.option_groups import OUTPUT
from glassgpt.reports import Difference, check_report
from glassgpt.reports import report as write_report
from glassgpt.units import data_size

MAX_DIFFERENCES = 10


def report(
    *runs: Path,
    out: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    check: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
) -> None:
    """Write a report of a run as one HTML file: verdict, curve, samples, findings, data, settings, hashes.

    The file loads nothing, works without JavaScript, on a phone and in print, and is in the language of
    --lang. Needs '.[report]'. With --check, every number of a report is computed again from the run. Exit
    codes of --check: 0 if all are right, 1 if one differs.

    Parameters
    ----------
    runs
        Folder of a run; several make one report that compares them.
    out
        File to write, by default `RUN-report.html` next to the run.
    check
        A report to check, instead of writing one. It finds its runs itself, or give them.
    """
    if check is not None:
        if out is not None:
            raise UserError("--check: takes no --{given}. Leave one of them out.", given="out")
        _show(check, check_report(check, *runs))
        return
    if not runs:
        raise UserError("no run is given. Give the folder of a run.")
    first = runs[0]
    target = out or first.with_name(f"{first.resolve().name}-report.html")
    made = write_report(*runs, out=target, lang=language())
    Terminal().say(_("{path}: {size}", path=target, size=data_size(len(made.html.encode()))))


def _show(path: Path, found: list[Difference]) -> None:
    console = Terminal()
    if not found:
        console.say(_("{path}: every number is that of the run", path=path))
        return
    for each in found[:MAX_DIFFERENCES]:
        console.print(
            _(
                "✗ {section}: {found}, and the run gives {expected}   {context}",
                section=each.section or _("head"),
                found=each.found,
                expected=each.expected,
                context=each.context,
            )
        )
    if len(found) > MAX_DIFFERENCES:
        console.print(_("  … and {n} more", n=len(found) - MAX_DIFFERENCES))
    sys.exit(1)
