"""`glassgpt lab`: the runs of a folder in the browser, with the inside of each model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.view.terminal import print_line, working
from glassgpt.interrupts import Stopped
from glassgpt.lab import open_lab, use_one_heap
from glassgpt.language import N_, _


def lab(
    runs: Path = Path("runs"),
    *,
    port: int | None = None,
    open_: Annotated[bool, Parameter(name="--open", negative="--no-open")] = True,
) -> None:
    """See through your own models in the browser: runs, learning curves, and every number inside.

    Only this machine can open the page, and only with the address that is printed. Ctrl-C ends the lab;
    trainings go on. The page is built once, which needs Node: the extra [lab] brings it.

    Parameters
    ----------
    runs
        Folder with runs, or one run.
    port
        Port of the page's address; by default the first free one from 8411.
    open_
        Open the page in your browser.
    """
    use_one_heap()
    with working(N_("starting the lab")) as status:
        opened = open_lab(runs, port, lambda message: status.update(f"{_(message)} …"))
    print_line(_("lab   {address}", address=opened.address))
    print_line(_("      Ctrl-C ends it; trainings go on."))
    if open_:
        opened.open_browser()
    try:
        opened.serve()
    except Stopped:
        return
