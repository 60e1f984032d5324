"""Readers: one per file format, from a byte stream to chunks of text.

The suffix of the name chooses the reader; without one, a file is plain text unless its bytes are binary. Rows
of jsonl and csv, and cells of notebooks, are joined by blank lines, as documents are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from glassgpt.config import DataConfig
from glassgpt.data.files.archives import is_gzip
from glassgpt.data.files.budget import UnpackBudget
from glassgpt.data.files.charset import detect_and_decode, scan
from glassgpt.data.files.chat_logs import without_dates
from glassgpt.data.files.epub import read_epub
from glassgpt.data.files.html import declared_encoding, read_html
from glassgpt.data.files.mail import read_eml, read_mbox
from glassgpt.data.files.notebook import read_notebook
from glassgpt.data.files.office import read_docx, read_odt
from glassgpt.data.files.parquet import PARQUET
from glassgpt.data.files.records import suffix_of
from glassgpt.data.files.report import Report
from glassgpt.data.files.rows import read_csv, read_json_rows
from glassgpt.data.files.rtf import read_rtf
from glassgpt.data.files.subtitles import SUBTITLES, read_subtitles
from glassgpt.data.files.unreadable import NotText, readable, reading
from glassgpt.language import N_

if TYPE_CHECKING:
    import pypdf

BinaryReader = Callable[[BinaryIO, str, UnpackBudget, Report], Iterator[str]]
MAILBOX = ".mbox"
PAGES = frozenset({".html", ".htm", ".xhtml"})


@dataclass(frozen=True)
class OpenDocument:
    """A document that is being read: facts about its bytes, and its text in chunks."""

    encoding: str
    n_bytes: int
    sha256: str
    pieces: Iterator[str]
    """The text. It is read from the stream as it is consumed."""
    rows: bool = False
    """True if each piece is a row, after the first one with a blank line before it."""


def open_document(
    stream: BinaryIO,
    name: str,
    config: DataConfig,
    report: Report | None = None,
    budget: UnpackBudget | None = None,
) -> OpenDocument:
    """Choose the reader of a document and start it. Notes, and invalid rows of a table, go to the report.

    budget: that of the archive around the document. Raises NotText for a binary, damaged or malformed file;
    also while the pieces are consumed.
    """
    suffix, report = suffix_of(name), report or Report()
    with reading(name):
        found = scan(stream)
        if suffix == MAILBOX:
            pieces = readable(read_mbox(stream, name, report), name)
            return OpenDocument(suffix[1:], found.n_bytes, found.sha256, pieces, rows=True)
        if reader := BINARY_READERS.get(suffix):
            if is_gzip(name):
                raise NotText(
                    "{name}: this is a gzipped {suffix} file. Unpack it first.", name=name, suffix=suffix
                )
            budget = budget or UnpackBudget.of(stream, name)
            pieces = budget.metered(reader(stream, name, budget, report))
            return OpenDocument(suffix[1:], found.n_bytes, found.sha256, readable(pieces, name))
        declared = declared_encoding(stream) if suffix in PAGES else None
        decoded = detect_and_decode(
            stream, name, config.encoding, found=found, declared=declared, lenient=config.skip_invalid
        )
    decoded.tell(report, name)
    pieces = decoded.pieces
    if suffix in PAGES:
        pieces = read_html(pieces, name)
    elif suffix in SUBTITLES:
        pieces = read_subtitles(pieces, name, report)
    elif suffix == ".ipynb":
        pieces = _joined(read_notebook(pieces, name, report))
    elif suffix in ROW_READERS:
        pieces = _joined(ROW_READERS[suffix](pieces, name, config.column, report))
    elif suffix == ".txt":
        pieces = without_dates(pieces, name, report)
    pieces = readable(pieces, name)
    return OpenDocument(decoded.encoding, found.n_bytes, found.sha256, pieces, rows=suffix in ROW_READERS)


def read_pdf(stream: BinaryIO, name: str, budget: UnpackBudget, report: Report) -> Iterator[str]:
    """Yield the text of the pages, with blank lines between them; pages without text are counted.

    Raises NotText for a pdf that is damaged, encrypted, over the budget or without text.
    """
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of oddities in files that read well
    blank = True
    try:
        pdf = pypdf.PdfReader(stream)
        if pdf.is_encrypted and not pdf.decrypt(""):
            raise NotText("{name}: a password protects it. Save a copy without one.", name=name)
        for number, page in enumerate(pdf.pages, 1):
            budget.spend(_content_size(page))  # any number of pages may share one content
            if text := page.extract_text().strip():
                yield text if blank else "\n\n" + text
                blank = False
            else:
                report.skip_empty(N_("{name}, page {number}", name=name, number=number))
    except NotText:
        raise
    except Exception as error:  # pypdf raises nearly anything for a malformed pdf
        raise NotText(
            "{name}: this is not a readable pdf ({error}). Save it again, or as plain text.",
            name=name,
            error=error,
        ) from error
    if blank:
        raise NotText(
            "{name}: it has no text and is probably a scan. Run OCR on it first, as with ocrmypdf.", name=name
        )


def _content_size(page: pypdf.PageObject) -> int:
    content = page.get_contents()
    return 0 if content is None else len(content.get_data())


def _joined(rows: Iterator[str]) -> Iterator[str]:
    between = ""
    for row in rows:
        if row := row.strip("\r\n"):
            yield between + row
            between = "\n\n"


def _whole(reader: Callable[[BinaryIO, str, UnpackBudget], Iterator[str]]) -> BinaryReader:
    """Return a reader for a document that is one part: it has nothing to report."""
    return lambda stream, name, budget, _: reader(stream, name, budget)


BINARY_READERS: dict[str, BinaryReader] = {
    ".pdf": read_pdf,
    ".epub": read_epub,
    ".docx": _whole(read_docx),
    ".odt": _whole(read_odt),
    ".rtf": _whole(read_rtf),
    ".eml": _whole(read_eml),
}
ROW_READERS: dict[str, Callable[[Iterator[str], str, str | None, Report], Iterator[str]]] = {
    ".jsonl": read_json_rows,
    ".ndjson": read_json_rows,
    ".json": read_json_rows,
    PARQUET: read_json_rows,
    ".csv": read_csv,
    ".tsv": read_csv,
}
