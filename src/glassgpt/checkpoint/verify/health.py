"""What was found of a run, and what that means: which step is usable, and what to do next.

How it is found is examination.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class StepHealth:
    """One step: what is wrong with it, if anything, and whether training can go on from it."""

    path: Path
    n_bytes: int
    problem: str | None = None
    resumable: bool = False

    @property
    def ok(self) -> bool:
        """Whether it can be used."""
        return self.problem is None


@dataclass(frozen=True)
class RunHealth:
    """A whole run. `problems` are of files that steps share, `fatal` of those that none can do without."""

    path: Path
    steps: tuple[StepHealth, ...]
    best: str | None
    fatal: tuple[str, ...]
    problems: tuple[str, ...]
    stale_files: tuple[str, ...]

    @property
    def newest(self) -> StepHealth | None:
        """The newest usable step."""
        return None if self.fatal else next((step for step in self.steps if step.ok), None)

    @property
    def code(self) -> int:
        """0: all is well. 1: something is damaged, a step is usable. 2: nothing is."""
        if self.newest is None:
            return 2
        return int(bool(self.problems) or not all(step.ok for step in self.steps))

    @property
    def sentence(self) -> str:
        """What is usable, and what to do next."""
        return _sentence(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {
            "run": str(self.path),
            "code": self.code,
            "steps": [
                {
                    "step": s.path.name,
                    "bytes": s.n_bytes,
                    "ok": s.ok,
                    "problem": s.problem,
                    "resumable": s.resumable,
                }
                for s in self.steps
            ],
            "newest": self.newest.path.name if self.newest else None,
            "best": self.best,
            "problems": [*self.fatal, *self.problems],
            "stale_files": list(self.stale_files),
            "sentence": self.sentence,
        }


def _sentence(health: RunHealth) -> str:
    path, newest = health.path, health.newest
    if not health.steps:
        return (
            f"{path} has no steps yet: it is being prepared, or ended before the first one was saved. In the "
            "latter case train anew; the folder may be deleted."
        )
    if health.fatal:
        return f"Nothing of {path} is usable as it is: put back a copy of the damaged file, or train anew."
    if newest is None:
        why = "all its steps are damaged"
        return f"{path} has nothing to use or to go on from: {why}. Train anew, or put back a copy."
    best = next((step for step in health.steps if step.ok and step.path.name == health.best), None)
    parts = [
        f"The newest usable step is {newest.path.name}",
        f", the best {best.path.name}. " if best else ". ",
    ]
    if not newest.resumable:
        parts.append("It holds weights without the state of training: it can be used, not gone on with.")
    elif health.problems:
        parts.append(
            "It can be used; before going on with training, put back copies of the other files marked ✗."
        )
    elif health.code:
        parts.append(f"`glassgpt resume {path}` goes on from it, setting newer damaged steps aside.")
    else:
        parts.append("Nothing needs to be done.")
    return "".join(parts)
