"""Findings as a table: observed next to expected, with the outcome."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from glassgpt.diagnose import MARKS, Finding
from glassgpt.explain import expectation, figure
from glassgpt.language import _

STYLES = {"ok": "green", "fail": "red"}


def findings_table(findings: Sequence[Finding], measured: str = "", expected: str = "") -> Table:
    """Return a table of findings. measured, expected: titles of the columns."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column(measured or _("measured"), justify="right")
    table.add_column(expected or _("expected"), justify="right")
    table.add_column("")
    for finding in findings:
        mark = Text(f"{MARKS[finding.outcome]} {_(finding.advice)}", STYLES.get(finding.outcome, "yellow"))
        table.add_row(Text(_(finding.name)), figure(finding.observed), expectation(finding), mark)
    return table
