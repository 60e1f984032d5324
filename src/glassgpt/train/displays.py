"""Progress of a training for people who call the library: a live curve in a notebook, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from glassgpt.notebook_html import paragraph
from glassgpt.train.events import Evaluated, Event, Stage, StepDone, Warned
from glassgpt.train.live_curve import curve_svg
from glassgpt.train.session import Session
from glassgpt.units import duration

EVERY_S = 0.5
"""Seconds between two updates of a notebook."""


def progress(training: Session | Iterable[Event]) -> Iterator[Event]:
    """Show how far a training is, while its events pass: `for event in progress(session): …`.

    training: a session, which this runs, or the events of one, as of `session.run()`; a session also shows
    its baselines. A notebook has a bar and a live curve, anything else a line for each evaluation.
    """
    view = make_progress()
    if isinstance(training, Session):
        view.begin(training)
    try:
        for event in training.run() if isinstance(training, Session) else training:
            view.show(event)
            yield event
    finally:
        view.close()


def make_progress(quiet: bool = False) -> ProgressDisplay:
    """Return the display for this place: a notebook, or a terminal. quiet: one that shows nothing."""
    if quiet:
        return ProgressDisplay()
    return NotebookProgress() if is_notebook() else LineProgress()


def is_notebook() -> bool:
    """True in a kernel of Jupyter, which can show HTML."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class ProgressDisplay:
    """Base of the displays: collects the curves and shows nothing."""

    def __init__(self) -> None:
        self.unit, self.levels = "nats/char", dict[str, float]()
        self.held_out: list[tuple[float, float]] = []
        self.losses: list[tuple[float, float]] = []  # (progress, training loss in nats per token)
        self.tokens_per_char = 1.0
        self.done = 0.0  # share of the run

    def stage(self, doing: str) -> None:
        """Show what the preparation is doing."""

    def begin(self, session: Session) -> None:
        """Show the data, and take the baselines from a session."""
        self.unit = session.data.unit
        self.levels = {s.name: s.nats_per_char for s in session.baselines if s.kind != "compressor"}

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case StepDone():
                self.done = event.progress
                self.losses.append((event.progress, event.loss))
            case Evaluated():
                self.tokens_per_char = (
                    event.nats_per_char / event.nats_per_token if event.nats_per_token else 1.0
                )
                self.held_out.append((self.done, event.nats_per_char))
            case _:
                pass

    def end(self, session: Session) -> None:
        """Show the verdict."""

    def tell(self, message: str) -> None:
        """Show a message."""

    def close(self) -> None:
        """Show the last state."""


class LineProgress(ProgressDisplay):
    """Prints a line for each stage, evaluation and warning."""

    def stage(self, doing: str) -> None:
        """Print the stage."""
        self.tell(f"{doing} …")

    def begin(self, session: Session) -> None:
        """Print the size of the data, and the run's folder."""
        super().begin(session)
        for line in (*session.data.describe(), *session.notes, f"run        {session.folder.path}"):
            self.tell(line)

    def show(self, event: Event) -> None:
        """Print an evaluation or a warning."""
        super().show(event)
        match event:
            case Evaluated():
                exact = "" if event.exact is None else f", {event.exact:.1%} exact"
                loss = f"{event.nats_per_char:.3f} {self.unit}{exact}"
                self.tell(f"{self.done:4.0%}  step {event.step}  held out {loss}")
            case Warned():
                self.tell(f"warning: {event.message}")
            case _:
                pass

    def end(self, session: Session) -> None:
        """Print the verdict."""
        self.tell(f"\n{session.verdict()}")

    def tell(self, message: str) -> None:
        """Print a message; characters that a terminal obeys become U+FFFD."""
        print("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in message), flush=True)


class NotebookProgress(ProgressDisplay):
    """One output of a cell, replaced as the training goes on: a bar, a line of figures, and the curve."""

    def __init__(self) -> None:
        super().__init__()
        self.doing, self.messages = "", list[str]()
        self.last: StepDone | None = None
        self._handle: Any = None
        self._shown = 0.0

    def stage(self, doing: str) -> None:
        """Show the stage."""
        self.doing = f"{doing} …"
        self._update()

    def begin(self, session: Session) -> None:
        """Show the size of the data."""
        super().begin(session)
        self.messages += [*session.data.describe(), *session.notes]
        self.stage("first steps")

    def show(self, event: Event) -> None:
        """Show the newest figures, twice a second."""
        super().show(event)
        match event:
            case StepDone():
                self.last, self.doing = event, ""
            case Stage():
                self.doing = f"{event.doing} …"
            case Warned():
                self.messages.append(f"warning: {event.message}")
            case _:
                pass
        if not isinstance(event, StepDone) or time.monotonic() - self._shown >= EVERY_S:
            self._update()

    def end(self, session: Session) -> None:
        """Show the verdict below the curve."""
        self.close()
        _display(session.verdict()._repr_html_())

    def tell(self, message: str) -> None:
        """Show a message."""
        self.messages.append(message)
        self._update()

    def close(self) -> None:
        """Show the last state."""
        self.doing = ""
        self._update()

    def _update(self) -> None:
        self._shown = time.monotonic()
        self._handle = _display(self.html(), self._handle)

    def html(self) -> str:
        """Return the state of the training as HTML."""
        bar = f'<progress value="{self.done:.3f}" max="1" style="width: 16em"></progress>'
        training = [(x, loss * self.tokens_per_char) for x, loss in self.losses]
        curve = curve_svg(self.held_out, training, self.levels) if training else ""
        messages = "".join(paragraph(message, faint=True) for message in self.messages)
        return f"<div>{messages}{bar} {paragraph(self.doing or self._figures())}{curve}</div>"

    def _figures(self) -> str:
        if self.last is None:
            return ""
        held_out = f", held out {self.held_out[-1][1]:.3f} {self.unit}" if self.held_out else ""
        left = f", {duration(self.last.left_s)} left" if self.last.left_s and self.done < 1 else ""
        return f"{self.done:.0%}, step {self.last.step}{held_out}{left}"


def _display(html: str, handle: Any = None) -> Any:
    """Show HTML in the cell that runs, or replace what a handle shows. Returns the handle."""
    from IPython.display import HTML, display

    if handle is None:
        return display(HTML(html), display_id=True)
    handle.update(HTML(html))
    return handle
