"""Lists of lines, such as names or titles, told from running text: their order means nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median

MIN_LINES = 100
MAX_WORDS = 3
"""Limit of the median number of words in a list whose order is not known to be alphabetical."""
MAX_SORTED_CHARS = 80
"""Limit of the median length of the lines in an alphabetical list; logs are sorted, too, by time."""
MOST_LINES = 0.95
"""Share of the lines that counts as most of them."""
ENDS = ".,;:!?…。，、；：！？」”\"'-)({}[]>"
IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def is_list(text: str) -> bool:
    """Return True for at least MIN_LINES lines that are short items, or in alphabetical order.

    Verse, code and dialogue have blank lines, indents, or punctuation at the ends of their lines.

    >>> names = "anna bert carla dora emil frieda gustav hanna ida jakob".split()
    >>> is_list("\\n".join(f"{a} {b}" for a in names for b in names))
    True
    >>> is_list("\\n".join(f"{a} went home," for a in names * 12))
    False
    """
    lines = text.strip("\n").split("\n")
    if len(lines) < MIN_LINES or _share(lines, _is_blank_or_indented) > 1 - MOST_LINES:
        return False
    different = len(set(lines)) > len(lines) / 2
    wordy = _share(lines, lambda line: line[:1].isalpha()) > 0.5
    return different and wordy and (_is_alphabetical(lines) or _are_items(lines))


def _is_alphabetical(lines: Sequence[str]) -> bool:
    if median(map(len, lines)) > MAX_SORTED_CHARS:
        return False
    return any(_is_sorted([key(line) for line in lines]) for key in (str, str.casefold, _letters))


def _is_sorted(keys: list[str]) -> bool:
    up = sum(a <= b for a, b in pairwise(keys))
    return max(up, len(keys) - 1 - up) >= 0.99 * (len(keys) - 1)


def _letters(line: str) -> str:
    letters = unicodedata.normalize("NFD", line.casefold())
    return "".join(filter(str.isalnum, letters))


def _are_items(lines: Sequence[str]) -> bool:
    return _share(lines, _ends_in_punctuation) <= 1 - MOST_LINES and median(map(_n_words, lines)) <= MAX_WORDS


def _n_words(line: str) -> int:
    """Count words; each character of Chinese, Japanese or Korean counts as one."""
    return len(line.split()) + max(0, len(IDEOGRAPH.findall(line)) - 1)


def _is_blank_or_indented(line: str) -> bool:
    return not line.strip() or line[0].isspace()


def _ends_in_punctuation(line: str) -> bool:
    return line.rstrip().endswith(tuple(ENDS))


def _share(lines: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, lines)) / len(lines)
