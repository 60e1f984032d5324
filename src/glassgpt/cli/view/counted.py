"""Progress of a known number of steps, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from glassgpt.cli.view.terminal import Terminal, error_terminal
from glassgpt.language import _

SECONDS = 10.0
"""Between two lines where standard error is no terminal."""


@contextmanager
def counted(doing: str, total: int) -> Iterator[Callable[[], None]]:
    """Yield a function to call after each step.

    A terminal shows a bar and the time that is left; a file or pipe gets a line about every ten seconds.
    """
    console = error_terminal()
    if not console.is_terminal:
        yield _lines(console, doing, total)
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda: bar.advance(task)


def _lines(console: Terminal, doing: str, total: int) -> Callable[[], None]:
    """Return a function that counts steps and prints a line if the last one is old."""
    done, printed = 0, time.monotonic()

    def step() -> None:
        nonlocal done, printed
        done += 1
        if time.monotonic() - printed >= SECONDS:
            printed = time.monotonic()
            console.say(_("{doing}: {done} of {total}", doing=doing, done=done, total=total))

    return step
