"""Findings of the doctor about a run, in words for the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from glassgpt.checkpoint import Run
from glassgpt.diagnose import MARKS, Symptom
from glassgpt.doctor import examine_outcome
from glassgpt.language import _


def outcome_findings(run: Run) -> list[dict[str, str]]:
    """Return what needs attention in a run's record: its curve, verdict and forecast. Reads no weights."""
    return _rows(examine_outcome(run).problems)


def examined(run: Run) -> dict[str, Any]:
    """Examine a run as `glassgpt doctor` does: one sentence, and what needs attention. Raises UserError."""
    from glassgpt.train import examine_run  # 0.25 s that no other answer needs

    found = examine_run(run)
    return {"sentence": _(found.sentence), "findings": _rows(found.problems)}


def _rows(symptoms: Iterable[Symptom]) -> list[dict[str, str]]:
    rows = []
    for each in symptoms:
        first, *rest = each.lines()
        rows.append(
            {"mark": MARKS[each.outcome], "outcome": each.outcome, "title": first, "text": "\n".join(rest)}
        )
    return rows
