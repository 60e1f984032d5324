"""Findings: checks against limits, and their stored form."""

from __future__ import annotations

import math

import pytest

from glassgpt.diagnose import Finding, Outcome


@pytest.mark.parametrize(
    ("finding", "outcome"),
    [
        (Finding.near("x", 1.0, 1.1, within=0.2, advice="do"), "ok"),
        (Finding.near("x", math.nan, 1.1, within=0.2, advice="do"), "fail"),
        (Finding.at_most("x", 2.0, 1.0, advice="do"), "fail"),
        (Finding.at_most("x", 1.0, 1.0, advice="do"), "ok"),
        (Finding.at_least("x", 1.0, 2.0, advice="do"), "fail"),
        (Finding.at_least("x", 2.0, 2.0, advice="do"), "ok"),
    ],
)
def test_a_check_has_an_outcome_and_keeps_its_advice_only_if_it_failed(
    finding: Finding, outcome: Outcome
) -> None:
    assert finding.outcome == outcome and finding.is_healthy == (outcome == "ok")
    assert finding.advice == ("" if outcome == "ok" else "do")


def test_a_finding_reads_its_stored_form_old_and_new() -> None:
    finding = Finding("x", 1.0, "≤ 2", "warn", "do", 0.5)
    stored = finding.to_dict()
    assert stored["outcome"] == "warn" and Finding.from_dict(stored) == finding
    stored["verdict"] = stored.pop("outcome")
    assert Finding.from_dict(stored) == finding
