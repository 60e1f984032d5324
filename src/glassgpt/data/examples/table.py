"""Tables: csv, tsv and jsonl files, optionally gzipped, as rows with named columns.

Every field becomes text, and a `Report` collects invalid rows. pairs.py, labeled.py and images.py decide the
meaning of the columns. Running text in rows is read by files/rows.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glassgpt.data.files import (
    Report,
    Source,
    csv_rows,
    detect_and_decode,
    field_text,
    json_rows,
    readable,
    reading,
    resolve_sources,
    suffix_of,
)
from glassgpt.errors import UserError

FLICKR_CAPTIONS = "captions.txt"
"""The csv file of Flickr8k."""
JSON_LINES = frozenset({".jsonl", ".ndjson", ".parquet"})
TABLES = JSON_LINES | {".csv", ".tsv"}
TABLES_IF_NAMED = {".json"}
"""Suffixes of a table if the user names the file: in a folder, such files are rarely tables."""

Row = tuple[int, dict[str, str]]
"""Number of a row's first line, and its fields by column."""


def is_table(source: Source) -> bool:
    """Return True if the suffix of a source is that of a table."""
    suffix = suffix_of(source.name)
    return suffix in TABLES or (source.explicit and suffix in TABLES_IF_NAMED)


def read_rows(path: Path, encoding: str | None = None, report: Report | None = None) -> Iterator[Row]:
    """Yield the rows of a csv, tsv or jsonl file: first line number, and fields by column.

    The first line of csv and tsv names the columns. In jsonl, numbers, true and false become their JSON text,
    null becomes empty, and fields with lists or objects are left out; only the fields of `translation` belong
    to the row. Raises UserError for an unreadable file. Invalid rows go to `report`; without a report the
    first one raises.
    """
    report = report or Report()
    for source in resolve_sources([str(path)]):
        yield from rows_of(source, encoding, report)


def rows_of(source: Source, encoding: str | None, report: Report) -> Iterator[Row]:
    """Yield the rows of a resolved source, see `read_rows`."""
    if not is_table(source) and Path(source.name).name != FLICKR_CAPTIONS:
        raise UserError(
            "{name}: its suffix is not that of a table. Give a .csv, .tsv or .jsonl file.", name=source.name
        )
    with open_text(source, encoding, report) as pieces:
        if suffix_of(source.name) in JSON_LINES | TABLES_IF_NAMED:
            yield from _objects(pieces, source.name, report)
        else:
            yield from _named_fields(pieces, source.name, report)


@contextmanager
def open_text(source: Source, encoding: str | None, report: Report) -> Iterator[Iterator[str]]:
    """Open the text of a file, gzipped or not, as chunks. They are valid inside the `with` only.

    Raises UserError for a damaged or binary file, and for bytes that are invalid in the encoding.
    """
    with source.open() as stream:
        with reading(source.name):
            decoded = detect_and_decode(stream, source.name, encoding, lenient=report.skip_invalid)
        decoded.tell(report, source.name)
        yield readable(decoded.pieces, source.name)


def _named_fields(pieces: Iterator[str], name: str, report: Report) -> Iterator[Row]:
    rows = csv_rows(pieces, name, report.reject)
    first, header = next(rows, (1, []))
    names = [each.strip() for each in header]
    if not any(names):
        raise UserError(
            "{name}: it is empty. Name the columns in its first line, and add one row per line.", name=name
        )
    if twice := [each for each, count in Counter(filter(None, names)).items() if count > 1]:
        raise UserError(
            "{name}:{first}: several columns have the name {twice!r}. Rename all but one.",
            name=name,
            first=first,
            twice=twice[0],
        )
    for number, row in rows:
        yield number, dict(zip(names, row, strict=True))


def _objects(pieces: Iterator[str], name: str, report: Report) -> Iterator[Row]:
    for number, value in json_rows(pieces, name, report.reject):
        if isinstance(value, dict):
            value = value | value["translation"] if isinstance(value.get("translation"), dict) else value
            texts = {key: field_text(field) for key, field in value.items()}
            yield number, {key: text for key, text in texts.items() if text is not None}
        else:
            kind = type(value).__name__
            report.reject(
                UserError(
                    '{name}:{number}: expected an object, got {kind}. Write {{"column": "text"}}.',
                    name=name,
                    number=number,
                    kind=kind,
                )
            )
