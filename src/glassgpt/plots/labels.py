"""Tokens as labels that can be seen: spaces, line ends and control characters get a sign. No drawing
here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from glassgpt.errors import UserError

SIGNS = {"\n": "⏎", "\t": "⇥", " ": "␣"}
JOINERS = "\u200c\u200d"  # they shape the letters beside them (Persian, Hindi, emoji)
INVISIBLE = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs")


def label(text: str, limit: int = 16) -> str:
    r"""`text` on one line with nothing invisible in it, at most `limit` columns wide (a Chinese one
    takes two).

    A single space between words stays as it is. A label of a label is the same label.

    >>> [label(text) for text in ("", "\n", " the", "a  b", "New York", "\x00", "internationalisation")]
    ['∅', '⏎', '␣the', 'a␣␣b', 'New York', '\\x00', 'internationalis…']
    """
    if not text:
        return "∅"
    seen = re.sub(r"^ | $|(?<= ) | (?= )", SIGNS[" "], text)
    seen = "".join(_sign(char, within=0 < at < len(seen) - 1) for at, char in enumerate(seen))
    if unicodedata.combining(seen[0]) or unicodedata.category(seen[0]) in ("Mn", "Mc"):
        seen = "◌" + seen  # a mark with no letter under it
    return _shorten(seen, limit)


def labels(texts: Sequence[str], count: int, what: str) -> list[str]:
    """Each of `texts` as a label. Raises UserError unless there are `count` of them."""
    if isinstance(texts, str) or len(texts) != count:
        given = "one string" if isinstance(texts, str) else f"{len(texts)} labels"
        raise UserError(
            f"{given} for the {what}, of which there are {count}: give a list with one label for each"
        )
    return [label(text) for text in texts]


def columns_of(text: str) -> int:
    """How wide `text` is, in columns of a terminal: 2 for each Chinese, Japanese or Korean character.

    >>> columns_of("3月"), columns_of("é")
    (3, 1)
    """
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _sign(char: str, within: bool) -> str:
    if char in SIGNS and not (char == " " and within):
        return SIGNS[char]
    if (within and char in " " + JOINERS) or unicodedata.category(char) not in INVISIBLE:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def _shorten(text: str, limit: int) -> str:
    if columns_of(text) <= limit:
        return text
    kept, room = "", limit - 1
    for char in text:
        room -= _columns(char)
        if room < 0:
            break
        kept += char
    return kept + "…"
