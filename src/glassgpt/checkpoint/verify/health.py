"""Result of a verification: usable steps, problems, and the next thing to do.

The checks are in verify.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassgpt.errors import command_line
from glassgpt.language import N_


@dataclass(frozen=True)
class StepHealth:
    """Health of one step: its problem, if any, and whether it can be resumed."""

    path: Path
    n_bytes: int
    problem: str | None = None
    resumable: bool = False

    @property
    def ok(self) -> bool:
        """True if the step can be used."""
        return self.problem is None


@dataclass(frozen=True)
class RunHealth:
    """Health of a run: its steps, and the problems of its other files.

    `fatal` problems make every step unusable; `problems` do not. `stale_files` are remains of kills and
    repairs.
    """

    path: Path
    steps: tuple[StepHealth, ...]
    best: str | None
    fatal: tuple[str, ...]
    problems: tuple[str, ...]
    stale_files: tuple[str, ...]

    @property
    def newest(self) -> StepHealth | None:
        """The newest usable step; None without one."""
        return None if self.fatal else next((step for step in self.steps if step.ok), None)

    @property
    def code(self) -> int:
        """Exit code: 0 healthy, 1 damaged but usable, 2 unusable."""
        if self.newest is None:
            return 2
        return int(bool(self.problems) or not all(step.ok for step in self.steps))

    @property
    def sentence(self) -> str:
        """The usable step, and the next thing to do."""
        return _sentence(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
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
        return N_(
            "{path} has no steps yet: it is being prepared, or it ended before the first "
            "save. In the latter case delete the folder and start a new run.",
            path=path,
        )
    if health.fatal:
        return N_(
            "Nothing of {path} is usable. Restore a copy of the damaged file, or start a new run.", path=path
        )
    if newest is None:
        return N_(
            "Nothing of {path} is usable: all steps are damaged. Restore a copy, or start a new run.",
            path=path,
        )
    best = next((step for step in health.steps if step.ok and step.path.name == health.best), None)
    usable = N_("The newest usable step is {name}.", name=newest.path.name)
    if best:
        usable = N_(
            "The newest usable step is {name}, the best {best}.", name=newest.path.name, best=best.path.name
        )
    if not newest.resumable:
        advice = N_("It has no optimizer state: use it or fine-tune it; training cannot resume.")
    elif health.problems:
        advice = N_("It can be used. Before you resume training, restore copies of the other files marked ✗.")
    elif health.code:
        advice = N_(
            "`{command}` resumes from it and quarantines newer damaged steps.",
            command=command_line("resume", path),
        )
    else:
        advice = N_("Nothing needs to be done.")
    return N_("{usable} {advice}", usable=usable, advice=advice)
