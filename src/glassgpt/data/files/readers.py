"""One reader per format: from a stream of bytes to pieces of text. Chosen by the ending of the name.

What no reader claims is plain text, unless its bytes say otherwise. Rows of a jsonl or csv file are joined by
a blank line, as documents are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO

from glassgpt.config import DataConfig
from glassgpt.data.files.charset import NotText, as_told, decode, detect, scan
from glassgpt.data.files.epub import read_epub
from glassgpt.data.files.html import declared_encoding, read_html
from glassgpt.data.files.rows import read_csv, read_json, read_jsonl
from glassgpt.errors import UserError

PAGES = frozenset({".html", ".htm", ".xhtml"})


@dataclass(frozen=True)
class Reading:
    """A document about to be read: what its bytes are, and its text, which is read as it is asked for."""

    encoding: str
    n_bytes: int
    sha256: str
    pieces: Iterator[str]


def read(stream: BinaryIO, name: str, config: DataConfig) -> Reading:
    """Choose the reader for a document and start it.

    Raises NotText for a binary file, UserError for what can't be read; both also while the pieces are read.
    """
    ending = PurePath(name).suffix.lower()
    found = scan(stream)
    if reader := BINARY_READERS.get(ending):
        return Reading(ending[1:], found.n_bytes, found.sha256, reader(stream, name))
    if config.encoding:
        encoding = as_told(stream, name, config.encoding)
    else:
        encoding = detect(stream, name, found, declared_encoding(stream) if ending in PAGES else None)
    pieces = decode(stream, name, encoding)
    if ending in PAGES:
        pieces = read_html(pieces, name)
    elif ending in ROW_READERS:
        pieces = _joined(ROW_READERS[ending](pieces, name, config.column))
    return Reading(encoding, found.n_bytes, found.sha256, pieces)


def read_pdf(stream: BinaryIO, name: str) -> Iterator[str]:
    """The text of the pages, a blank line between them."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of every oddity of a file that reads well
    blank = True
    try:
        pdf = pypdf.PdfReader(stream)
        if pdf.is_encrypted and not pdf.decrypt(""):
            raise NotText(f"{name} is locked with a password; save a copy without it")
        for page in pdf.pages:
            if text := page.extract_text().strip():
                yield text if blank else "\n\n" + text
                blank = False
    except UserError:
        raise
    except Exception as error:  # a malformed pdf makes pypdf raise nearly anything
        raise NotText(f"{name} is not a readable pdf ({error}); save it again, or as plain text") from error
    if blank:
        raise NotText(f"{name} holds no text: it is probably a scan; run OCR on it first (ocrmypdf does)")


def _joined(rows: Iterator[str]) -> Iterator[str]:
    between = ""
    for row in rows:
        if row := row.strip("\r\n"):
            yield between + row
            between = "\n\n"


BINARY_READERS: dict[str, Callable[[BinaryIO, str], Iterator[str]]] = {".pdf": read_pdf, ".epub": read_epub}
ROW_READERS: dict[str, Callable[[Iterator[str], str, str | None], Iterator[str]]] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
}
