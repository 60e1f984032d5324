"""Events as JSON, for a program."""

from __future__ import annotations

from typing import Any

from glassgpt.cli.view.display.base import Display
from glassgpt.cli.view.terminal import print_json
from glassgpt.train import Event, Session


class JsonDisplay(Display):
    """Prints one JSON object per line on standard output. Messages keep the names of fields."""

    def _print(self, kind: str, **fields: Any) -> None:
        print_json({"event": kind, **fields})

    def stage(self, doing: str) -> None:
        """Print the current stage."""
        self._print("stage", doing=doing)

    def begin(self, session: Session) -> None:
        """Print the configuration, the data and the run."""
        config = session.trainer.config.model_dump(mode="json")
        plan = session.decision and session.decision.to_dict()
        self._print("begin", run=session.folder.path, config=config, notes=session.notes, plan=plan)

    def show(self, event: Event) -> None:
        """Print one event."""
        print_json(event.to_dict())

    def end(self, session: Session) -> None:
        """Print the verdict."""
        self._print("verdict", **session.verdict().to_dict())
