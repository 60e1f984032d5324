"""Character encodings: detect the encoding of a byte stream and decode it.

The order is: byte-order mark; signature of a binary format; UTF-16 without a mark (by its zero bytes); strict
UTF-8 over the whole stream; a guess among legacy encodings from a sample. The user is always told of a guess.
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
from glassgpt.data.files.report import Report
from glassgpt.data.files.signatures import HEAD, Kind, certain_kind, probable_kind
from glassgpt.data.files.unreadable import NotText
from glassgpt.errors import UserError
from glassgpt.language import N_

PIECE = 1 << 20
SAMPLE = 1 << 16
CERTAIN = frozenset({"utf-8", "utf-8-sig"})
"""Encodings that are recognized without a guess."""
CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1b")
"""Bytes that are rare in text and frequent in binary files."""
MAX_CONTROLS = 200
"""A text has at most one control byte in so many bytes."""
SURROGATES = re.compile("[\ud800-\udfff]")
BOMS = {  # utf-32 first: its mark begins with the mark of utf-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SUPERSET = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "cp1252"}


@dataclass(frozen=True)
class Scan:
    """Size, hash, UTF-8 validity and control bytes of a stream, from one pass over it."""

    n_bytes: int
    sha256: str
    bad_utf8: int | None
    """Offset of the first byte that is not UTF-8."""
    n_controls: int = 0
    n_nul: int = 0

    @property
    def is_binary(self) -> bool:
        """True if the stream has more control bytes than text does, wherever they stand."""
        return self.n_controls > 2 + self.n_bytes // MAX_CONTROLS


@dataclass(frozen=True)
class Decoded:
    """A stream's encoding, its characters in chunks, and notes for the user."""

    encoding: str
    pieces: Iterator[str]
    notes: tuple[str, ...] = ()
    n_invalid: int = 0
    """Number of invalid parts that become U+FFFD."""

    def tell(self, report: Report, name: str) -> None:
        """Add the notes to the report on a file."""
        for note in self.notes:
            report.note(note, name)
        if self.n_invalid:
            times = N_("{name} ({n:,} times)", name=name, n=self.n_invalid)
            report.note(N_("invalid bytes replaced by U+FFFD"), times)


def scan(stream: BinaryIO) -> Scan:
    """Scan a whole stream and rewind it."""
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    n_bytes, bad, n_controls, n_nul = 0, None, 0, 0
    stream.seek(0)
    while piece := stream.read(PIECE):
        digest.update(piece)
        n_controls += _n_controls(piece)
        n_nul += piece.count(0)
        bad = _first_error(decoder, piece, n_bytes) if bad is None else bad
        n_bytes += len(piece)
    bad = _first_error(decoder, b"", n_bytes) if bad is None else bad
    stream.seek(0)
    return Scan(n_bytes, digest.hexdigest(), bad, n_controls, n_nul)


def _n_controls(piece: bytes) -> int:
    return len(piece) - len(piece.translate(None, CONTROLS))


def _first_error(decoder: codecs.IncrementalDecoder, piece: bytes, offset: int) -> int | None:
    pending = len(decoder.getstate()[0])
    try:
        decoder.decode(piece, final=not piece)
    except UnicodeDecodeError as error:
        return offset - pending + error.start
    return None


def detect(
    stream: BinaryIO, name: str, found: Scan, declared: str | None = None, lenient: bool = False
) -> str:
    """Detect the encoding of a stream.

    found: the scan of the stream. declared: the encoding that the document declares; used if it is not UTF-8.
    lenient: UTF-8 with invalid bytes is UTF-8. Raises NotText for a binary file, UserError for UTF-8 with
    invalid bytes.
    """
    stream.seek(0)
    head = stream.read(SAMPLE)
    for mark, encoding in BOMS.items():
        if head.startswith(mark):
            return encoding
    if kind := certain_kind(head[:HEAD]):
        raise not_text(name, kind)
    bad = found.bad_utf8
    if b"\0" in head and (found.is_binary or bad is not None) and (encoding := _utf16(head)):
        return encoding
    if found.is_binary:
        raise not_text(name, probable_kind(head[:HEAD]))
    if bad is None:
        return "utf-8"
    start = max(0, bad - SAMPLE // 2)
    stream.seek(start)
    sample = stream.read(SAMPLE)
    if _n_controls(sample) > len(sample) // MAX_CONTROLS:
        raise not_text(name, probable_kind(head[:HEAD]))
    around = sample.decode("utf-8", "replace")
    if sum(char > "\x7f" for char in around) > 10 * around.count("\ufffd"):
        if lenient:
            return "utf-8"
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


def decode(stream: BinaryIO, name: str, encoding: str, lenient: bool = False) -> Iterator[str]:
    """Yield the characters of a stream, from its start, in chunks. Newlines become `\\n`.

    lenient: invalid bytes become U+FFFD. Otherwise raises UserError, with the offset, for invalid bytes.
    """
    decoder = codecs.getincrementaldecoder(encoding)("replace" if lenient else "strict")
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
    lenient: bool = False,
) -> Decoded:
    """Detect the encoding of a stream and start decoding it.

    encoding: the user's choice, used without detection. found: the scan of the stream, if already made.
    declared, lenient: see `detect` and `decode`. Raises NotText for a binary file, UserError for invalid
    bytes.
    """
    found, notes = found or scan(stream), []
    if encoding:
        chosen = check_encoding(stream, name, encoding, found)
    else:
        chosen = detect(stream, name, found, declared, lenient)
        if chosen not in CERTAIN:
            notes.append(N_("read as {encoding} (detected; set `encoding` to override)", encoding=chosen))
    is_bad = lenient and chosen in CERTAIN and found.bad_utf8 is not None
    if found.n_nul and not _is_wide(chosen):
        notes.append(N_("NUL characters kept as text"))
    n_invalid = _n_invalid(stream) if is_bad else 0
    return Decoded(chosen, decode(stream, name, chosen, lenient), tuple(notes), n_invalid)


def _n_invalid(stream: BinaryIO) -> int:
    """Count the characters that decoding as UTF-8 replaces by U+FFFD."""
    decoder, n, more = codecs.getincrementaldecoder("utf-8")("replace"), 0, True
    counter = codecs.getincrementaldecoder("utf-8")("ignore")
    stream.seek(0)
    while more:
        more = bool(piece := stream.read(PIECE))
        n += decoder.decode(piece, final=not more).count("\ufffd")
        n -= counter.decode(piece, final=not more).count("\ufffd")
    return n


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by U+FFFD."""
    return SURROGATES.sub("\ufffd", text)


def check_encoding(stream: BinaryIO, name: str, encoding: str, found: Scan) -> str:
    """Return the user's encoding. Raises UserError if Python lacks it, NotText for a binary stream."""
    try:
        codecs.getincrementaldecoder(encoding)
        b"x".decode(encoding, "ignore")  # raises for codecs without text, such as hex
    except (LookupError, UnicodeError) as error:
        raise UserError(
            "unknown encoding {encoding!r}. Use a codec of Python: utf-8, utf-16, gb18030, latin-1, …",
            encoding=encoding,
        ) from error
    stream.seek(0)
    head = stream.read(HEAD)
    if kind := certain_kind(head):
        raise not_text(name, kind)
    if found.is_binary and not _is_wide(encoding):
        raise not_text(name, probable_kind(head))
    return encoding


def _is_wide(encoding: str) -> bool:
    """Return True for encodings in which each ASCII character has zero bytes."""
    return codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))


def not_text(name: str, kind: Kind) -> NotText:
    """Return the error for a binary file of a known or unknown format."""
    return NotText(
        "{name}: this is {phrase}, not text. {remedy}", name=name, phrase=kind.phrase, remedy=kind.remedy
    )


def _undecodable(name: str, encoding: str, offset: int) -> UserError:
    return UserError(
        "{name}: the bytes at offset {offset:,} are not {encoding}, but all bytes before are. Set "
        "`encoding` to the right one, repair the file, or set `skip_invalid` to replace such bytes.",
        name=name,
        offset=offset,
        encoding=encoding,
    )
