"""Labels of tokens: their text, with signs for invisible characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from glassgpt.tokenizers import Tokenizer

SIGNS = {"\n": "⏎", "\t": "⇥", " ": "␣"}
JOINERS = "\u200c\u200d"  # they shape the letters next to them (Persian, Hindi, emoji)
INVISIBLE = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs")


def token_labels(tokenizer: Tokenizer, ids: Iterable[int]) -> list[str]:
    """Return the text of each token; special tokens by name, partial characters as bytes.

    >>> from glassgpt.tokenizers import train_tokenizer
    >>> token_labels(train_tokenizer("char", ["ab"], specials=("<eos>",)), [0, 1, 258])
    ['a', 'b', '<eos>']
    """
    names = {id: name for name, id in tokenizer.specials.items()}
    ids = list(map(int, ids))
    labels = {id: names.get(id) or _piece_label(tokenizer.token_bytes([id])) for id in set(ids)}
    return [labels[id] for id in ids]


def _piece_label(piece: bytes) -> str:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in piece)


def visible_label(text: str, limit: int | None = None) -> str:
    r"""Return a text on one line, with a sign for each invisible character.

    limit: columns of a terminal, at most; a Chinese character takes two. A single space between words stays a
    space. A label of a label is the same label.

    >>> [visible_label(text) for text in ("", "\n", " the", "a  b", "New York", "\x00")]
    ['∅', '⏎', '␣the', 'a␣␣b', 'New York', '\\x00']
    >>> visible_label("internationalisation", 16)
    'internationalis…'
    """
    if not text:
        return "∅"
    seen = re.sub(r"^ | $|(?<= ) | (?= )", SIGNS[" "], text)
    seen = "".join(_sign(char, within=0 < at < len(seen) - 1) for at, char in enumerate(seen))
    if unicodedata.combining(seen[0]) or unicodedata.category(seen[0]) in ("Mn", "Mc"):
        seen = "◌" + seen  # a mark with no letter under it
    return seen if limit is None else _shorten(seen, limit)


def columns_of(text: str) -> int:
    """Return the width of a text in columns of a terminal.

    A Chinese, Japanese or Korean character has 2.

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
