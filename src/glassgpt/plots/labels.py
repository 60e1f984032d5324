"""Labels of rows, columns and tokens in plots: whole, shortened to a width, or broken into lines."""

from __future__ import annotations

from collections.abc import Sequence

from glassgpt.errors import UserError
from glassgpt.lens import visible_label
from glassgpt.plots.cells import inches

LONGEST = 16
"""Columns of a label, at most."""


def visible_labels(texts: Sequence[str], count: int, what: str) -> list[str]:
    """Return each text as a label. Raises UserError unless there are `count` texts."""
    if isinstance(texts, str) or len(texts) != count:
        given = "one string" if isinstance(texts, str) else f"{len(texts)} labels"
        raise UserError(
            "{given} for the {what}: there are {count}. Pass a list with one label for each.",
            given=given,
            what=what,
            count=count,
        )
    return [visible_label(text, LONGEST) for text in texts]


def shortened(names: Sequence[str], room: float, size: float = 14.0) -> list[str]:
    """Return each name as a label of at most `room` inches.

    >>> shortened(["a\\n", "transformer"], 0.7)
    ['a⏎', 'trans…']
    """

    def fit(name: str) -> str:
        lengths = range(LONGEST, 1, -1)
        return next(
            (label for n in lengths if inches([label := visible_label(name, n)], size) <= room),
            visible_label(name, 1),
        )

    return [fit(name) for name in names]


def broken_lines(words: str, width: float, size: float) -> list[str]:
    """Break words into lines of at most `width` inches: at spaces, and between Chinese characters.

    >>> broken_lines("one two", 0.4, 14)
    ['one', 'two']
    """
    lines = [""]
    for piece in _pieces(words):
        if (
            lines[-1]
            and inches([lines[-1] + piece.rstrip()], size) > width
            and piece[0] not in "，。；：、）”"
        ):
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.rstrip() for line in lines]


def _pieces(words: str) -> list[str]:
    """Split into words with their spaces, and single Chinese characters."""
    pieces = [""]
    for char in words:
        if ord(char) > 0x2E80 or (pieces[-1] and (pieces[-1][-1] == " " or ord(pieces[-1][-1]) > 0x2E80)):
            pieces.append("")
        pieces[-1] += char
    return [piece for piece in pieces if piece]
