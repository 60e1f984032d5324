"""`glassgpt.train("notes.txt", minutes=1)`: a whole training in one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from typing import Any

from glassgpt.checkpoint import Run
from glassgpt.config import Layer, RunConfig, flat_settings, merge, takes_settings
from glassgpt.interrupts import on_signals
from glassgpt.train.displays import make_progress
from glassgpt.train.observers import Observer
from glassgpt.train.start_run import start
from glassgpt.train.trainer import Trainer


@takes_settings(RunConfig)
def train(
    *sources: Path | str,
    out: Path | str | None = None,
    autopilot: bool = True,
    quiet: bool = False,
    observers: Sequence[Observer] = (),
    **settings: Any,
) -> Run:
    """Train a model, show how far it is, compare it with the baselines, and return its run.

    sources: files, folders, globs or built-in names, as of `glassgpt train`; without one it learns the
    documentation of Python. out: folder of the run, by default below `runs/`. autopilot: choose what is not
    given. quiet: show nothing. observers: called during training. settings: any option of `glassgpt train` by
    its name, such as `minutes=1`, `size="nano"` or `lr=0.01`; without a length it takes 5 minutes. An
    interrupt (Ctrl-C, or the notebook's stop button) saves the run and raises KeyboardInterrupt;
    `glassgpt.resume` continues it. Raises UserError for settings and sources that cannot be used.

    >>> import glassgpt
    >>> run = glassgpt.train("notes.txt", minutes=1)  # doctest: +SKIP
    >>> print(run.verdict(), run.sample())  # doctest: +SKIP
    """
    given = flat_settings(RunConfig, settings, ("out", "autopilot", "quiet", "observers"))
    if sources:
        given = merge(given, {"data": {"sources": tuple(map(str, sources))}})
    view = make_progress(quiet)
    session = start([Layer("option", given)], out, view.stage, observers=observers, autopilot=autopilot)
    view.begin(session)
    with _stop_on_interrupt(session.trainer):
        for event in session.run():
            view.show(event)
    if session.trainer.stopping:
        view.tell(f"stopped at step {session.trainer.step} and saved: {session.folder.path}")
        raise KeyboardInterrupt
    view.end(session)
    return session.folder


@contextmanager
def _stop_on_interrupt(trainer: Trainer) -> Iterator[None]:
    """Let the first interrupt end the training after its step, and a second one at once."""
    received: list[int] = []

    def handle(number: int) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt
        trainer.stop.interrupt()

    with on_signals(handle, [SIGINT]):
        yield
