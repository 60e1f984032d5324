"""The rows of a verdict as text: the same table for a terminal, a notebook and a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from glassgpt.diagnose.accuracy import Accuracy
from glassgpt.diagnose.score import Score, row_title
from glassgpt.language import N_, _
from glassgpt.tables import as_html

BAR = 24
"""Length of the longest bar in text, in characters."""


@dataclass(frozen=True)
class VerdictTable:
    """A table of losses or of correct answers, best first, with a bar for each row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[float | None, ...]
    """Lengths from 0 to 1; None for a row without a bar."""
    model: int | None
    """Index of the model's row."""

    def to_text(self) -> str:
        """Return the table with aligned columns."""
        head, *rows = self.translated()
        widths = [max(map(cell_len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            [set_cell_size(cells[0], widths[0]), *map(_right, cells[1:], widths[1:])]
            for cells in (head, *rows)
        ]
        ends = ["", *("█" * round(BAR * (bar or 0)) for bar in self.bars)]
        return "\n".join("  ".join([*line, end]).rstrip() for line, end in zip(lines, ends, strict=True))

    def to_html(self) -> str:
        """Return the table as HTML, with the model's row in bold."""
        marked = () if self.model is None else (self.model,)
        head, *rows = self.translated()
        return as_html(head, rows, range(1, len(head)), marked, self.bars)

    def translated(self) -> list[tuple[str, ...]]:
        """Return the head and the rows in the language of the process."""
        return [tuple(map(_, cells)) for cells in (self.head, *self.rows)]


def loss_table(scores: Sequence[Score], model: object) -> VerdictTable:
    """Return a table of losses in three units; the longest bar is the largest loss."""
    worst = max(score.nats_per_char for score in scores) or 1.0
    figures = [(score.nats_per_char, score.bits_per_char, score.bits_per_byte) for score in scores]
    return VerdictTable(
        ("", N_("nats/char"), N_("bits/char"), N_("bits/byte")),
        tuple(
            (row_title(s.name), *(f"{figure:.3f}" for figure in row))
            for s, row in zip(scores, figures, strict=True)
        ),
        tuple(score.nats_per_char / worst for score in scores),
        next((i for i, score in enumerate(scores) if score == model), None),
    )


def answers_table(accuracies: Sequence[Accuracy], losses: Sequence[Score], model: object) -> VerdictTable:
    """Return a table of exact answers, with a column for each further figure.

    losses: of baselines that give no answer; they are rows only if the table has a column of losses.
    """
    names = list(dict.fromkeys(name for row in accuracies for name in row.figures))
    rows = [
        (row_title(row.name), f"{row.share:.1%}", *(_figure(row.figures.get(name)) for name in names))
        for row in accuracies
    ]
    if "nats/char" in names:
        rows += [
            (
                N_("counted {name}s of the answers", name=row_title(score.name)),
                "",
                *(_figure(score.nats_per_char) if name == "nats/char" else "" for name in names),
            )
            for score in losses
        ]
    bars = [row.share for row in accuracies] + [None] * (len(rows) - len(accuracies))
    at = next((i for i, row in enumerate(accuracies) if row == model), None)
    return VerdictTable(("", N_("exact"), *names), tuple(rows), tuple(bars), at)


def _right(text: str, width: int) -> str:
    return " " * (width - cell_len(text)) + text


def _figure(value: float | None) -> str:
    """Format a figure: BLEU with one decimal, nats with three."""
    if value is None:
        return ""
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"
