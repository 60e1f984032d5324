"""The calls that every display of a training run answers."""

from __future__ import annotations

from types import TracebackType

from glassgpt.train import Event, Session


class Display:
    """Base of the displays; shows nothing.

    Use it as a context manager: it restores the terminal at the end.
    """

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def stage(self, doing: str) -> None:
        """Show the current stage of the preparation."""

    def begin(self, session: Session) -> None:
        """Show the data, the model and the run."""

    def show(self, event: Event) -> None:
        """Show one event of the training."""

    def end(self, session: Session) -> None:
        """Show the verdict and the next commands."""
