"""Character encodings: detect the encoding of a byte stream and decode it.

The order is: byte-order mark; UTF-16 without one (by its zero bytes); strict UTF-8 over the whole stream; a
guess among legacy encodings from a sample. The user is always told of a guess.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from glassgpt.data.files.charset_legacy import legacy
from glassgpt.errors import UserError

PIECE = 1 << 20
SAMPLE = 1 << 16
CERTAIN = frozenset({"utf-8", "utf-8-sig", "pdf", "epub"})
"""Encodings and formats that are recognized without a guess."""
SURROGATES = re.compile("[\ud800-\udfff]")
BOMS = {  # utf-32 first: its mark begins with the mark of utf-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SUPERSET = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "cp1252"}


class NotText(UserError):
    """A file without usable text: an error if the user named it, a note if it was in a folder."""


@dataclass(frozen=True)
class Scan:
    """Size, hash and UTF-8 validity of a stream, from one pass over its bytes."""

    n_bytes: int
    sha256: str
    bad_utf8: int | None
    """Offset of the first byte that is not UTF-8."""


def scan(stream: BinaryIO) -> Scan:
    """Scan a whole stream and rewind it."""
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
    """Detect the encoding of a stream.

    found: the scan of the stream. declared: the encoding that the document declares; used if it is not UTF-8.
    Raises NotText for a binary file, UserError for UTF-8 with invalid bytes.
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
    return legacy(sample if start == 0 else sample[bad - start :])  # before it is only ASCII: no evidence


def _utf16(head: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark, or None.

    In UTF-16 the high bytes vary far less than the low bytes.

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
    """Yield the characters of a stream, from its start, in chunks. Newlines become `\\n`.

    Raises UserError, with the offset, for bytes that are invalid in the encoding.
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


def detect_and_decode(
    stream: BinaryIO,
    name: str,
    encoding: str | None = None,
    *,
    found: Scan | None = None,
    declared: str | None = None,
) -> tuple[str, Iterator[str]]:
    """Return the encoding of a stream and its characters in chunks.

    encoding: the user's choice, used without detection. found: the scan of the stream, if already made.
    declared: see `detect`. Raises NotText for a binary file, UserError for invalid bytes.
    """
    if encoding:
        chosen = check_encoding(stream, name, encoding)
    else:
        chosen = detect(stream, name, found or scan(stream), declared)
    return chosen, decode(stream, name, chosen)


def detection_note(encoding: str) -> str | None:
    """Return the note for a guessed encoding, or None for a certain one."""
    return None if encoding in CERTAIN else f"read as {encoding} (detected; set `encoding` to override)"


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by U+FFFD."""
    return SURROGATES.sub("\ufffd", text)


def check_encoding(stream: BinaryIO, name: str, encoding: str) -> str:
    """Return the user's encoding. Raises UserError if Python lacks it, NotText for a binary stream."""
    try:
        codecs.getincrementaldecoder(encoding)
        b"x".decode(encoding, "ignore")  # raises for codecs without text, such as hex
    except (LookupError, UnicodeError) as error:
        raise UserError(
            f"unknown encoding {encoding!r}. Use a codec of Python: utf-8, utf-16, gb18030, latin-1, …"
        ) from error
    stream.seek(0)
    if b"\0" in stream.read(SAMPLE) and not codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        raise _binary(name)
    return encoding


def _undecodable(name: str, encoding: str, offset: int) -> UserError:
    return UserError(
        f"{name}: the bytes at offset {offset:,} are not {encoding}, but all bytes before are. "
        "Set `encoding` to the right one (latin-1 accepts any byte), or repair the file."
    )


def _binary(name: str) -> NotText:
    return NotText(
        f"{name}: this is a binary file, not text. Export it as .txt, .html, .epub or .pdf, "
        "or set `encoding=utf-16-le` if it is that."
    )
