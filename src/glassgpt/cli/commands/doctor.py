"""`glassgpt doctor`: what is wrong with a run, serious problems first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.view.examination import print_examination
from glassgpt.cli.view.terminal import Terminal, print_json
from glassgpt.doctor import examine_run


def doctor(run: Path, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Examine model, objective, data and outcome of a run, and name what is wrong.

    Changes one thing at a time and looks at what moves: the future, the past, the order of tokens. Takes
    seconds and changes nothing. Exit codes: 0 if nothing serious was found, 1 for a serious problem.

    Parameters
    ----------
    run
        Folder of a run.
    json
        Print the findings as JSON.
    """
    found = examine_run(run)
    if json:
        print_json(found.to_dict(), indent=1)
    else:
        print_examination(found, Terminal())
    if found.is_serious:
        sys.exit(1)
