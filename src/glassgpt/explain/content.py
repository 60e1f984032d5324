"""What a chapter is: a short text, numbers that were just computed, findings, and a picture.

How it looks in a terminal is the command line's affair, in a notebook Jupyter's; nothing here prints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from glassgpt.diagnose import Finding, Outcome

if TYPE_CHECKING:
    from glassgpt.plots import Plot

Translate = Callable[[str], str]
"""From an English text to the reader's language."""


MARKS: dict[Outcome, str] = {"ok": "✓", "warn": "!", "fail": "✗", "unclear": "?"}
"""How an outcome is shown."""


@dataclass(frozen=True)
class Grid:
    """A table of numbers with names for its rows and columns."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]
    """One row of numbers for each name; NaN leaves a cell empty."""
    decimals: int = 2
    shade: bool = True
    """Whether larger numbers are set off: right for weights and probabilities, not for measurements."""

    @classmethod
    def of(
        cls, title: str, rows: Sequence[str], columns: Sequence[str], values: Tensor, decimals: int = 2
    ) -> Grid:
        """The grid of a matrix (rows, columns)."""
        assert values.shape == (len(rows), len(columns)), f"{values.shape}: {len(rows)} × {len(columns)}"
        return cls(title, rows, columns, values.tolist(), decimals)


@dataclass(frozen=True)
class Chapter:
    """One fact of the notes, watched."""

    name: str
    title: str
    body: tuple[str | Grid, ...]
    """Paragraphs and tables, in the order of reading."""
    findings: tuple[Finding, ...]
    """What was measured beside what theory says."""
    draw: Callable[[], Plot]
    gettext: Translate
    """For the words around the findings."""

    @property
    def is_confirmed(self) -> bool:
        """Whether no figure lies where its theory forbids it."""
        return all(finding.is_healthy for finding in self.findings)

    def plot(self) -> Plot:
        """The picture of the chapter. Raises UserError where matplotlib is missing."""
        return self.draw()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: everything but the picture."""
        return {
            "name": self.name,
            "title": self.title,
            "text": [part for part in self.body if isinstance(part, str)],
            "tables": [vars(part) for part in self.body if isinstance(part, Grid)],
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def _repr_markdown_(self) -> str:
        """How Jupyter shows it."""
        parts = [part if isinstance(part, str) else markdown_table(part) for part in self.body]
        return "\n\n".join([*parts, self._findings_markdown()])

    def _findings_markdown(self) -> str:
        _ = self.gettext
        lines = [f"| | {_('measured')} | {_('expected')} | |", "|---|---:|---:|---|"]
        for finding in self.findings:
            mark = f"{MARKS[finding.outcome]} {finding.advice}".strip()
            lines.append(f"| {finding.name} | {figure(finding.observed)} | {expectation(finding)} | {mark} |")
        return "\n".join(lines)


def markdown_table(grid: Grid) -> str:
    """A grid as Markdown reads it."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", "⏎")

    head = "| " + " | ".join(map(cell, [grid.title, *grid.columns])) + " |"
    rule = "|---|" + "---:|" * len(grid.columns)
    rows = [
        f"| {cell(name)} | " + " | ".join("" if v != v else f"{v:.{grid.decimals}f}" for v in values) + " |"
        for name, values in zip(grid.rows, grid.values, strict=True)
    ]
    return "\n".join([head, rule, *rows])


def figure(value: float | str) -> str:
    """A measured number with four digits that mean something, or words as they are.

    >>> figure(4.66023), figure(12), figure(0.00001234), figure("yes")
    ('4.660', '12', '1.23e-05', 'yes')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e6):
        return f"{int(value):,}"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1e5 else f"{value:.3g}"


def expectation(finding: Finding) -> str:
    """What was expected, with how far off is still right."""
    if finding.within:
        return f"{figure(finding.expected)} ± {finding.within:.2g}"
    return figure(finding.expected)
