"""Signatures: the first bytes of binary formats, so that an error names the format."""

from __future__ import annotations

from typing import NamedTuple

from glassgpt.language import N_

EXPORT = N_("Export it as .txt, .html, .docx, .epub or .pdf.")
UNPACK = N_("Unpack it and pass the folder.")
HEAD = 512
"""Bytes of a file in which a signature lies."""


class Kind(NamedTuple):
    """A binary format, and the remedy for a file of it."""

    phrase: str
    remedy: str = EXPORT


ZIP = Kind(N_("a zip archive"), N_("Give it the ending of its format: .zip, .docx, .odt or .epub."))
# Each with a byte that no text has, or so specific that a text does not begin with it.
CERTAIN: dict[bytes, Kind] = {
    b"\x89PNG": Kind(N_("a PNG image")),
    b"\xff\xd8\xff": Kind(N_("a JPEG image")),
    b"PK\x03\x04": ZIP,
    b"PK\x05\x06": ZIP,
    b"\x1f\x8b": Kind(N_("a gzip file"), N_("Give it an ending in .gz, such as .txt.gz.")),
    b"\xfd7zXZ\0": Kind(N_("an xz file"), UNPACK),
    b"7z\xbc\xaf\x27\x1c": Kind(N_("a 7z archive"), UNPACK),
    b"\x28\xb5\x2f\xfd": Kind(N_("a zstd file"), UNPACK),
    b"Rar!\x1a\x07": Kind(N_("a rar archive"), UNPACK),
    b"%PDF-": Kind(N_("a pdf"), N_("Give it the ending .pdf.")),
    b"{\\rtf": Kind(N_("an rtf document"), N_("Give it the ending .rtf.")),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": Kind(N_("an old Word, Excel, PowerPoint or Outlook file")),
    b"SQLite format 3\0": Kind(N_("an SQLite database")),
    b"\x7fELF": Kind(N_("a program")),
    b"\x89HDF": Kind(N_("an HDF5 file")),
    b"\x93NUMPY": Kind(N_("a NumPy array")),
    b"\0asm": Kind(N_("a program")),
}
# Letters alone: they count only where the rest of the file is binary too.
PROBABLE: dict[bytes, Kind] = {
    b"GIF8": Kind(N_("a GIF image")),
    b"BM": Kind(N_("a BMP image")),
    b"RIFF": Kind(N_("a WAV or WEBP file")),
    b"BZh": Kind(N_("a bzip2 file"), UNPACK),
    b"PAR1": Kind(N_("a parquet table"), N_("Give it the ending .parquet.")),
    b"ARROW1": Kind(N_("an arrow table"), N_("Export it as .csv or .jsonl.")),
    b"MZ": Kind(N_("a program")),
    b"OggS": Kind(N_("an Ogg file")),
    b"ID3": Kind(N_("an MP3 file")),
    b"fLaC": Kind(N_("a FLAC file")),
    b"GGUF": Kind(N_("a GGUF model")),
    b"bplist": Kind(N_("a binary property list")),
}
UNKNOWN = Kind(
    N_("a binary file"),
    N_("Export it as .txt, .html, .docx, .epub or .pdf, or set `encoding` if it is text."),
)


def certain_kind(head: bytes) -> Kind | None:
    """Return the format of a file that cannot be text, from its first HEAD bytes.

    >>> certain_kind(b"PK\\x03\\x04\\x14")
    Kind(phrase='a zip archive', remedy='Give it the ending of its format: .zip, .docx, .odt or .epub.')
    """
    if head[257:262] == b"ustar" and b"\0" in head:
        return Kind(N_("a tar archive"), N_("Give it the ending .tar."))
    return _first(CERTAIN, head)


def probable_kind(head: bytes) -> Kind:
    """Return the format of a file that is known to be binary.

    >>> probable_kind(b"PAR1\\x15\\x04").phrase, probable_kind(b"\\1\\2").phrase
    ('a parquet table', 'a binary file')
    """
    if head[4:8] == b"ftyp":
        return Kind(N_("an MP4 or HEIC file"))
    if head[5:9] == b"\0\0\0{":  # after the header's length, 8 bytes
        return Kind(N_("a safetensors file"))
    return certain_kind(head) or _first(PROBABLE, head) or UNKNOWN


def _first(kinds: dict[bytes, Kind], head: bytes) -> Kind | None:
    return next((kind for magic, kind in kinds.items() if head.startswith(magic)), None)
