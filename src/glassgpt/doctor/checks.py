"""The form of a check: what it expects and why, and the function that finds problems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from glassgpt.checkpoint import Run
from glassgpt.diagnose import Outcome, Symptom
from glassgpt.doctor.subject import Skip, Subject, preserved
from glassgpt.errors import UserError
from glassgpt.language import N_


@dataclass(frozen=True)
class Problem:
    """A violated expectation: category and cause, the observation and the remedy."""

    category: str
    cause: str
    observed: float | str
    advice: str
    where: str = ""
    cost: float | None = None
    outcome: Outcome = "fail"
    remedy: str = ""
    """Name of a change of settings that can be tried on a run; see glassgpt.train.remedy."""


@dataclass(frozen=True)
class Check:
    """A property of every healthy language model, and the function that looks for violations.

    `find` yields problems, nothing for a healthy model. It raises Skip if it cannot run.
    """

    name: str
    expected: str
    why: str
    find: Callable[[Subject], Iterable[Problem]]
    last: bool = False
    """True for a check that says little about a model with serious problems, and takes long."""

    def run(self, subject: Subject) -> list[Symptom]:
        """Return a symptom for each problem, or one that says that all is well. Raises Skip."""
        with preserved(subject.model, subject.optimizers):
            subject.model.eval()
            try:
                problems = list(self.find(subject))
            except (UserError, Skip):
                raise
            except Exception as error:  # foreign code: a check that cannot run is no verdict
                message = f"{type(error).__name__}: {error}".splitlines()[0][:100]
                raise Skip(N_("it failed with {error}", error=message)) from error
        return symptoms(self.name, self.expected, self.why, problems)


@dataclass(frozen=True)
class RunCheck:
    """A property of every healthy run; `find` yields problems, or raises Skip."""

    name: str
    expected: str
    why: str
    find: Callable[[Run], Iterable[Problem]]

    def run(self, run: Run) -> list[Symptom]:
        """Return a symptom for each problem, or one that says that all is well. Raises Skip."""
        try:
            return symptoms(self.name, self.expected, self.why, list(self.find(run)))
        except UserError as error:
            raise Skip(N_("it failed with {error}", error=str(error))) from error


def symptoms(name: str, expected: str, why: str, problems: Sequence[Problem]) -> list[Symptom]:
    """Return a symptom for each problem; without any, one that says that all is well."""
    if not problems:
        return [Symptom(name, expected, expected, "ok", why=why)]
    return [
        Symptom(
            name,
            each.observed,
            expected,
            each.outcome,
            each.advice,
            category=each.category,
            cause=each.cause,
            why=why,
            where=each.where,
            cost=each.cost,
            remedy=each.remedy,
        )
        for each in problems
    ]
