"""Which encoding a stream of bytes is in, and its characters.

The order: a byte-order mark, UTF-16 without one (by its zero bytes), strict UTF-8 over the whole stream, and
only then a guess at the legacy encodings from a sample. The guess is always said to the user.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from glassgpt.data.files.charset_legacy import legacy
from glassgpt.errors import UserError

PIECE = 1 << 20
SAMPLE = 1 << 16
BOMS = {  # utf-32 first: its mark begins with that of utf-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SUPERSET = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "cp1252"}


class NotText(UserError):
    """What was given holds no text to learn from: an error for a file, a note for one file in a folder."""


@dataclass(frozen=True)
class Scan:
    """What one pass over all bytes tells. `bad_utf8` is the offset of the first byte that isn't UTF-8."""

    n_bytes: int
    sha256: str
    bad_utf8: int | None


def scan(stream: BinaryIO) -> Scan:
    """Read a stream from its start to its end and leave it at its start."""
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    n_bytes, bad = 0, None
    stream.seek(0)
    while piece := stream.read(PIECE):
        digest.update(piece)
        bad = _first_error(decoder, piece, n_bytes) if bad is None else bad
        n_bytes += len(piece)
    bad = _first_error(decoder, b"", n_bytes) if bad is None else bad
    stream.seek(0)
    return Scan(n_bytes, digest.hexdigest(), bad)


def _first_error(decoder: codecs.IncrementalDecoder, piece: bytes, offset: int) -> int | None:
    pending = len(decoder.getstate()[0])
    try:
        decoder.decode(piece, final=not piece)
    except UnicodeDecodeError as error:
        return offset - pending + error.start
    return None


def detect(stream: BinaryIO, name: str, found: Scan, declared: str | None = None) -> str:
    """The encoding of a stream; `declared` is what the document says of itself, believed where UTF-8 fails.

    Raises NotText for a binary file, UserError for UTF-8 with broken bytes in it.
    """
    stream.seek(0)
    head = stream.read(SAMPLE)
    for mark, encoding in BOMS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        if encoding := _utf16(head):
            return encoding
        raise _binary(name)
    if (bad := found.bad_utf8) is None:
        return "utf-8"
    start = max(0, bad - SAMPLE // 2)
    stream.seek(start)
    sample = stream.read(SAMPLE)
    if sum(byte < 32 and byte not in b"\t\n\v\f\r\x1b" for byte in sample) > len(sample) // 200:
        raise _binary(name)
    around = sample.decode("utf-8", "replace")
    if sum(char > "\x7f" for char in around) > 10 * around.count("\ufffd"):
        raise _undecodable(name, "utf-8", bad)
    if declared:
        return SUPERSET.get(declared, declared)
    return legacy(sample if start == 0 else sample[bad - start :])  # all before was ASCII and tells nothing


def _utf16(head: bytes) -> str | None:
    """UTF-16 without a mark, if the zero bytes come from it: then high bytes vary far less than low ones.

    >>> _utf16("Zwölf Boxkämpfer".encode("utf-16-le")), _utf16(b"\\x89PNG\\0\\0\\0\\x0dIHDR")
    ('utf-16-le', None)
    """
    n_even, n_odd = len(set(head[::2])), len(set(head[1::2]))
    if max(n_even, n_odd) < 1.6 * min(n_even, n_odd):
        return None
    encoding = "utf-16-be" if n_even < n_odd else "utf-16-le"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None
    odd = sum(unicodedata.category(char) in {"Cc", "Cn", "Co"} and char not in "\t\n\v\f\r" for char in text)
    return encoding if odd * 100 <= len(text) else None


def decode(stream: BinaryIO, name: str, encoding: str) -> Iterator[str]:
    """The characters of a stream, from its start, in pieces; newlines become `\\n`.

    Raises UserError, with the offset, at bytes that the encoding doesn't know.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    stream.seek(0)
    offset, more = 0, True
    while more:
        piece = stream.read(PIECE)
        more, pending = bool(piece), len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece, final=not more)
        except UnicodeError as error:
            at = error.start if isinstance(error, UnicodeDecodeError) else 0
            raise _undecodable(name, encoding, offset - pending + at) from error
        offset += len(piece)
        yield newlines.decode(text, final=not more)


def as_told(stream: BinaryIO, name: str, encoding: str) -> str:
    """The encoding that a user named, if Python has it and the stream isn't plainly binary."""
    try:
        codecs.getincrementaldecoder(encoding)
        b"x".decode(encoding, "ignore")  # refuses codecs that make no text, such as hex
    except (LookupError, UnicodeError) as error:
        raise UserError(
            f"unknown encoding {encoding!r}; name one that Python knows: utf-8, utf-16, gb18030, latin-1, …"
        ) from error
    stream.seek(0)
    if b"\0" in stream.read(SAMPLE) and not codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        raise _binary(name)
    return encoding


def _undecodable(name: str, encoding: str, offset: int) -> UserError:
    return UserError(
        f"{name}: the bytes at offset {offset:,} are not {encoding}, though what precedes them is; "
        "name the right encoding with --encoding (latin-1 accepts any byte), or repair the file"
    )


def _binary(name: str) -> NotText:
    return NotText(
        f"{name} is a binary file, not text; export it as .txt, .html, .epub or .pdf, "
        "or say --encoding utf-16-le if it is that"
    )
