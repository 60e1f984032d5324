"""A display whose output may close: the training goes on without it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from glassgpt.cli.view.display.base import Display
from glassgpt.cli.view.terminal import discard_output, is_gone, print_note
from glassgpt.language import _
from glassgpt.train import Event, Session


class EnduringDisplay(Display):
    """Shows another display, until its output takes no more text: the training goes on without it."""

    def __init__(self, display: Display) -> None:
        self.display = display

    def __enter__(self) -> Display:
        self._try(lambda: self.display.__enter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._try(lambda: self.display.__exit__(kind, error, trace))

    def stage(self, doing: str) -> None:
        """Show the current stage."""
        self._try(lambda: self.display.stage(doing))

    def begin(self, session: Session) -> None:
        """Show the data, the model and the run."""
        self._try(lambda: self.display.begin(session))

    def show(self, event: Event) -> None:
        """Show one event."""
        self._try(lambda: self.display.show(event))

    def end(self, session: Session) -> None:
        """Show the verdict."""
        self._try(lambda: self.display.end(session))

    def _try(self, show: Callable[[], object]) -> None:
        """Show something. If nobody reads it (`| head`, a pager that quits), say so and show nothing else."""
        try:
            show()
        except OSError as error:
            if not is_gone(error):
                raise
            discard_output()
            self.display = Display()
            print_note(_("the output is closed. Training goes on without it; Ctrl-C saves and stops."))
