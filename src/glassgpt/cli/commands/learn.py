"""`glassgpt learn`: the learning path, what is done, and the next command."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from glassgpt.cli.arguments import Json
from glassgpt.cli.progress import finished_steps, forget_steps
from glassgpt.cli.view.learn import print_path, print_step
from glassgpt.cli.view.terminal import print_json
from glassgpt.errors import UserError
from glassgpt.explain import learning_path
from glassgpt.language import N_

NEXT = "next"
RESET_ALONE = N_("--reset: takes no step. Leave {step} out.")


def learn(
    step: str | None = None,
    *,
    reset: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Show the path from the notes to a GPT of your own, and the next command.

    A chapter is done when `glassgpt explain` has shown it. Practice is done when you have looked at its
    run in runs/. Your progress is in a file on this machine, and goes nowhere else.

    Parameters
    ----------
    step
        Show one step: its name, or `next`.
    reset
        Forget your progress. Runs stay.
    json
        Print the path or the step as JSON.
    """
    if reset and step is not None:
        raise UserError(RESET_ALONE, step=step)
    if reset:
        forget_steps()
    path = learning_path(done=finished_steps())
    if step is None:
        print_json(path.to_dict(), indent=1) if json else print_path(path)
        return
    shown = path.next if step == NEXT else path[step]
    if shown is None:
        raise UserError("you have done all steps. See `glassgpt learn`, or begin again with --reset.")
    print_json(shown.to_dict(), indent=1) if json else print_step(path, shown)
