"""`glassgpt doctor`: what is wrong with a run, serious problems first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.checkpoint import Run
from glassgpt.cli.view.examination import print_examination
from glassgpt.cli.view.terminal import Terminal, print_hint, print_json, working
from glassgpt.doctor import save_examination
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.train import examine_run, with_trials


def doctor(
    run: Path,
    *,
    try_: Annotated[bool, Parameter(name="--try", negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Examine model, objective, training step, data and outcome of a run, and name what is wrong.

    Changes one thing at a time and looks at what moves: the future, the past, the order of tokens. Takes
    seconds, and keeps its findings in the run as doctor.json, for the report. Exit codes: 0 if nothing
    serious was found, 1 for a serious problem.

    Parameters
    ----------
    run
        Folder of a run.
    try_
        Try remedies that are a setting: some steps with it, next to the same steps without it, up to a
        minute each.
    json
        Print the findings as JSON.
    """
    opened = Run.open(run)
    with working(N_("examining model, training and data")):
        found = examine_run(opened)
    if try_:
        with working(N_("trying the remedies")):
            found = with_trials(opened, found)
    if json:
        print_json(found.to_dict(), indent=1)
    else:
        print_examination(found, Terminal())
    try:
        save_examination(opened, found)
    except UserError as error:  # a run that cannot be written can be examined
        print_hint(str(error))
    if found.is_serious:
        sys.exit(1)
