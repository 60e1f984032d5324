"""Text of .rtf, without its codes, pictures and tables of styles.

One pass over the bytes. striprtf needs minutes for 1 MB of unfinished hyperlinks, so it is not used.
Source: Rich Text Format Specification 1.9.1.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from glassgpt.data.files.budget import UnpackBudget
from glassgpt.data.files.charset import not_text
from glassgpt.data.files.html import MAX_PAGE
from glassgpt.data.files.signatures import HEAD, probable_kind
from glassgpt.data.files.unreadable import NotText

TOKEN = re.compile(
    rb"\\([a-z]{1,32})(-?\d{1,9})? ?|\\'([0-9a-f]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]+)|\\", re.I | re.S
)
HIDDEN = frozenset(
    b"""fonttbl colortbl stylesheet info pict object header headerl headerr headerf footer footerl footerr
    footerf footnote annotation fldinst listtable listoverridetable rsidtbl themedata datastore
    xmlnstbl generator
    """.split()
)
"""Groups without visible text. Those that begin with `\\*` have none either."""
WORDS = {
    b"par": "\n",
    b"line": "\n",
    b"sect": "\n",
    b"page": "\n",
    b"row": "\n",
    b"cell": "\t",
    b"tab": "\t",
    b"emdash": "—",
    b"endash": "–",
    b"bullet": "•",
    b"lquote": "‘",
    b"rquote": "’",
    b"ldblquote": "“",
    b"rdblquote": "”",
}
SYMBOLS = {b"\\": "\\", b"{": "{", b"}": "}", b"~": "\u00a0", b"_": "-", b"\n": "\n", b"\r": "\n"}
CHARSETS = {128: 932, 129: 949, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255, 178: 1256}
CHARSETS |= {186: 1257, 204: 1251, 222: 874, 238: 1250}
"""Code pages by the `\\fcharset` of a font."""


@dataclass(frozen=True)
class _Group:
    """State that a brace opens and closes."""

    hidden: bool = False
    encoding: str = "cp1252"
    n_fallback: int = 1
    """Characters that follow each `\\u` for old readers, and are skipped."""


def read_rtf(stream: BinaryIO, name: str, budget: UnpackBudget) -> Iterator[str]:
    """Yield the text of a document. Raises NotText for other files and over MAX_PAGE bytes."""
    data = stream.read(MAX_PAGE + 1)
    if not data.startswith(b"{\\rtf"):
        raise not_text(name, probable_kind(data[:HEAD]))
    if len(data) > MAX_PAGE:
        raise NotText(
            "{name}: it is larger than {max_page:,} bytes. Save it as plain text.",
            name=name,
            max_page=MAX_PAGE,
        )
    lines = _Reader().read(data).split("\n")
    yield "\n".join(line.rstrip(" \t") for line in lines).strip("\n")


class _Reader:
    """Turns tokens into text."""

    def __init__(self) -> None:
        self._group, self._outer = _Group(), list[_Group]()
        self._parts: list[str] = []
        self._pending = bytearray()  # in the encoding of the group: a character may be two escapes
        self._fonts: dict[int, str] = {}
        self._font = 0  # the last one named
        self._default = "cp1252"
        self._skip = 0  # characters to skip

    def read(self, data: bytes) -> str:
        """Return the text of a document."""
        at = 0
        while token := TOKEN.match(data, at):
            word, number, escape, symbol, brace, text = token.groups()
            at = token.end()
            if word == b"bin":
                at += max(0, int(number or 0))
            elif word:
                self._word(word.lower(), int(number) if number else None)
            elif escape:
                self._bytes(bytes.fromhex(escape.decode()))
            elif symbol == b"*":
                self._change(hidden=True)
            elif symbol:
                self._write(SYMBOLS.get(symbol, ""))
            elif brace:
                self._brace(brace)
            elif text:
                self._bytes(text)
        self._flush()
        units = "".join(self._parts)  # \u writes UTF-16: an emoji is two of them
        return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _word(self, word: bytes, number: int | None) -> None:
        if word in WORDS:
            self._write(WORDS[word])
        elif word in HIDDEN:
            self._change(hidden=True)
        elif number is None:
            return
        elif word == b"u":
            self._write(chr(number % 0x10000))
            self._skip = self._group.n_fallback
        elif word == b"uc":
            self._change(n_fallback=max(0, min(number, 100)))
        elif word == b"f":
            self._font = number
            self._change(encoding=self._fonts.get(number, self._default))
        elif word == b"fcharset":
            self._fonts[self._font] = _known(CHARSETS.get(number), self._default)
        elif word == b"ansicpg":
            self._default = _known(number, self._default)
            self._change(encoding=self._default)

    def _brace(self, brace: bytes) -> None:
        self._flush()
        self._skip = 0
        if brace == b"{":
            self._outer.append(self._group)
        elif self._outer:
            self._group = self._outer.pop()

    def _change(self, **fields: object) -> None:
        self._flush()
        self._group = replace(self._group, **fields)  # pyright: ignore[reportArgumentType]

    def _bytes(self, data: bytes) -> None:
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        if not self._group.hidden:
            self._pending += data[skipped:]

    def _write(self, text: str) -> None:
        self._flush()
        if not self._group.hidden:
            self._parts.append(text)

    def _flush(self) -> None:
        if self._pending:
            self._parts.append(self._pending.decode(self._group.encoding, "replace"))
            self._pending.clear()


def _known(page: int | None, otherwise: str) -> str:
    """Return the codec of a code page, if Python has it.

    >>> _known(936, "cp1252"), _known(99999, "cp1252"), _known(None, "cp1252")
    ('gbk', 'cp1252', 'cp1252')
    """
    try:
        return codecs.lookup(f"cp{page}").name
    except LookupError:
        return otherwise
