"""Content of a chapter: text, tables, findings and a plot.

Nothing here prints: the command line and Jupyter show it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from glassgpt.diagnose import MARKS, Finding
from glassgpt.explain.exercise import Exercise
from glassgpt.explain.lesson import Lesson
from glassgpt.language import Translate
from glassgpt.lens import visible_label
from glassgpt.tables import as_markdown, prose_markdown

if TYPE_CHECKING:
    from glassgpt.plots import Plot

NO_CODE = Lesson("", ())


@dataclass(frozen=True)
class Grid:
    """Table of numbers with names of rows and columns."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]
    """A row of numbers for each name; NaN leaves a cell empty."""
    decimals: int = 2
    shade: bool = True
    """True to give larger numbers a background: for weights and probabilities, not for measurements."""

    @classmethod
    def of(
        cls, title: str, rows: Sequence[str], columns: Sequence[str], values: Tensor, decimals: int = 2
    ) -> Grid:
        """Return the grid of a matrix (rows, columns)."""
        assert values.shape == (len(rows), len(columns)), f"{values.shape}: {len(rows)} × {len(columns)}"
        return cls(title, rows, columns, values.tolist(), decimals)


@dataclass(frozen=True, repr=False)
class Chapter:
    """One fact of the notes, measured."""

    name: str
    title: str
    body: tuple[str | Grid, ...]
    """Paragraphs and tables, in the order of reading."""
    findings: tuple[Finding, ...]
    """Measured values with their expected values."""
    draw: Callable[[], Plot]
    gettext: Translate
    """Translation of the words around the findings."""
    lesson: Lesson = NO_CODE
    """The fact as code, in cells that run by themselves; empty until `glassgpt.chapter` adds it."""
    exercises: tuple[Exercise, ...] = ()
    language: str = "en"
    run: str | None = None
    """Folder of the user's run, if the chapter shows it."""

    def __repr__(self) -> str:
        return f"Chapter {self.name}: {self.title}"

    @property
    def code(self) -> str:
        """The lesson as a script in percent format, with the title as its first cell."""
        return f"# %% [markdown]\n# # {self.title}\n\n{self.lesson.code}"

    @property
    def is_confirmed(self) -> bool:
        """True if no finding contradicts its theory."""
        return all(finding.is_healthy for finding in self.findings)

    def plot(self, theme: str = "light") -> Plot:
        """Draw the plot of the chapter, `light` or `dark`. Raises UserError without matplotlib."""
        from glassgpt import plots

        with plots.theme(theme):
            return self.draw()

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the plot, ready for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "text": [part for part in self.body if isinstance(part, str)],
            "tables": [vars(part) for part in self.body if isinstance(part, Grid)],
            "findings": [finding.to_dict() for finding in self.findings],
            "cells": self.lesson.to_dict(),
            "exercises": [exercise.question for exercise in self.exercises],
        }

    def _repr_markdown_(self) -> str:
        """Return Markdown for Jupyter."""
        parts = [prose_markdown(part) if isinstance(part, str) else grid_markdown(part) for part in self.body]
        return "\n\n".join([*parts, self._findings_markdown()])

    def _findings_markdown(self) -> str:
        _ = self.gettext
        rows = [
            (
                finding.name,
                figure(finding.observed),
                expectation(finding),
                f"{MARKS[finding.outcome]} {finding.advice}".strip(),
            )
            for finding in self.findings
        ]
        return as_markdown(["", _("measured"), _("expected"), ""], rows, right=(1, 2))


def grid_markdown(grid: Grid) -> str:
    """Return a grid as a Markdown table, with the labels of the terminal."""
    head = [grid.title, *map(visible_label, grid.columns)]
    rows = [
        [visible_label(name), *("" if v != v else f"{v:.{grid.decimals}f}" for v in values)]
        for name, values in zip(grid.rows, grid.values, strict=True)
    ]
    return as_markdown(head, rows, right=range(1, len(head)))


def figure(value: float | str) -> str:
    """Format a number with four significant digits; keep words.

    >>> figure(4.66023), figure(12), figure(0.00001234), figure("yes")
    ('4.660', '12', '1.23e-05', 'yes')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e6):
        return f"{int(value):,}"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1e5 else f"{value:.3g}"


def expectation(finding: Finding) -> str:
    """Format the expected value of a finding, with its tolerance."""
    if finding.within:
        return f"{figure(finding.expected)} ± {finding.within:.2g}"
    return figure(finding.expected)
