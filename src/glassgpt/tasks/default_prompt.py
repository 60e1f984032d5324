"""The beginning of a sample that has no prompt: something that the model has seen."""

from __future__ import annotations

import re
from collections.abc import Iterable

READ_CHARS = 100_000
"""Characters of the training text that decide."""
CHARS_PER_LINE = 10_000
"""Longer lines, on average, make a newline too rare to begin with."""
MAX_CHARS = 8
"""Longest word to begin with: DNA is one word."""


def default_prompt(texts: Iterable[str]) -> str:
    """Return a newline, or the first word of a text with hardly any lines.

    A token that training never saw gives noise. texts: the training text in pieces.

    >>> default_prompt(["To be,\\nor not"]), default_prompt(["ACGTTGCAAC" * 9]), default_prompt(["To", " be"])
    ('\\n', 'ACGTTGCA', 'To')
    """
    start = _first_chars(texts)
    n_lines = start.count("\n", 0, len(start) - 1)  # training predicts what follows
    if n_lines * CHARS_PER_LINE >= len(start):
        return "\n"
    word = re.match(r"\s*\S+", start)
    return word[0][:MAX_CHARS] if word else "\n"


def _first_chars(texts: Iterable[str]) -> str:
    pieces, n = [], 0
    for piece in texts:
        pieces.append(piece)
        n += len(piece)
        if n >= READ_CHARS:
            break
    return "".join(pieces)[:READ_CHARS]
