"""Labels of rows, columns and tokens in plots."""

from __future__ import annotations

from collections.abc import Sequence

from glassgpt.errors import UserError
from glassgpt.lens import visible_label

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
