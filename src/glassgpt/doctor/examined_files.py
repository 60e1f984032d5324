"""Examine the files of a run: its data and its outcome. `glassgpt.train.examine_run` adds the model."""

from __future__ import annotations

from collections.abc import Iterable

from glassgpt.checkpoint import Run
from glassgpt.diagnose import Examination, Symptom
from glassgpt.doctor import data, outcome
from glassgpt.doctor.checks import RunCheck
from glassgpt.doctor.subject import Skip


def examine_data(run: Run) -> Examination:
    """Examine the text of a run: overlap, repetition, unseen tokens. Loads no model."""
    return examine_with(run, data.CHECKS)


def examine_outcome(run: Run) -> Examination:
    """Examine what a run recorded: its curve, verdict and forecast. Reads no weights and no text."""
    return examine_with(run, outcome.CHECKS)


def examine_with(run: Run, checks: Iterable[RunCheck]) -> Examination:
    """Return the findings of some checks of a run, and the reasons of those that could not run."""
    findings: list[Symptom] = []
    skipped: dict[str, str] = {}
    for check in checks:
        try:
            findings += check.run(run)
        except Skip as reason:
            skipped[check.name] = reason.args[0]
    return Examination.of(findings, skipped, str(run.path))
