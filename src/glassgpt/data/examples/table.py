"""Tables on disk: csv, tsv and jsonl, packed with gzip or not, as rows whose columns have names.

Every field becomes text here, and what is wrong with a row goes to a `Report`. What the columns mean is not
known: see pairs.py and images.py. Running text in rows is read by rows.py.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from glassgpt.data.corpus import DAMAGED, SURROGATES, UNREMARKABLE
from glassgpt.data.files import Source, as_told, csv_rows, decode, detect, ending, json_rows, resolve, scan
from glassgpt.errors import UserError

JSON_LINES = frozenset({".jsonl", ".ndjson"})
TABLES = JSON_LINES | {".csv", ".tsv"}
SHOWN = 3
"""So many of the files or rows that a note is about are named in it."""


class Report:
    """What is said about the files that were read: rows that are of no use, encodings, columns.

    >>> report = Report(skip_invalid=True)
    >>> for number in range(2, 7):
    ...     report.bad(UserError(f"a.csv:{number}: no label; fill it in"))
    >>> report.notes()
    ('5 rows skipped: a.csv:2: no label; a.csv:3: no label; a.csv:4: no label; and 2 more',)
    """

    def __init__(self, skip_invalid: bool = False) -> None:
        self._skip_bad = skip_invalid
        self._skipped: list[str] = []
        self._heard: dict[str, list[str]] = {}
        self.n_skipped = 0

    def bad(self, problem: UserError) -> None:
        """Raise what is wrong with a row, or count it where bad rows are to be skipped."""
        if not self._skip_bad:
            raise UserError(f"{problem} (--skip-invalid goes on without such rows)") from problem
        self.n_skipped += 1
        if self.n_skipped <= SHOWN:
            self._skipped.append(str(problem).split("; ")[0])  # without the remedy

    def say(self, what: str, name: str) -> None:
        """Remember something to be said once for all files of which it is true."""
        self._heard.setdefault(what, []).append(name)

    def notes(self) -> tuple[str, ...]:
        """A line for each kind of thing."""
        heard = [f"{what}: {_some(names, len(names))}" for what, names in self._heard.items()]
        rows = "1 row" if self.n_skipped == 1 else f"{self.n_skipped:,} rows"
        skipped = [f"{rows} skipped: {_some(self._skipped, self.n_skipped)}"] if self._skipped else []
        return (*heard, *skipped)


def _some(items: list[str], n: int) -> str:
    return "; ".join([*items[:SHOWN], *([f"and {n - SHOWN:,} more"] if n > SHOWN else [])])


def read_rows(
    path: Path, encoding: str | None = None, report: Report | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a csv, tsv or jsonl file: the number of a row's first line, and its fields by name.

    The first line of csv and tsv names the columns. In jsonl numbers, true and false are text as json spells
    them, null is empty, and a field that holds a list or an object is left out. Raises UserError for a file
    that can't be read; bad rows go to `report`, without which the first of them is raised.
    """
    report = report or Report()
    for source in resolve([str(path)]):
        yield from rows_of(source, encoding, report)


def rows_of(source: Source, encoding: str | None, report: Report) -> Iterator[tuple[int, dict[str, str]]]:
    """The same of a source that is already resolved."""
    if ending(source.name) not in TABLES:
        raise UserError(f"{source.name} is no table by its name; give a .csv, .tsv or .jsonl file")
    with open_text(source, encoding, report) as pieces:
        if ending(source.name) in JSON_LINES:
            yield from _objects(pieces, source.name, report)
        else:
            yield from _named_fields(pieces, source.name, report)


@contextmanager
def open_text(source: Source, encoding: str | None, report: Report) -> Iterator[Iterator[str]]:
    """The text of a file, unpacked where its name ends in .gz, in pieces; valid inside the `with` only.

    Raises UserError for what is damaged, binary or not in the encoding.
    """
    try:
        with source.open() as file, _unpacked(file, source.name) as stream:
            if encoding:
                chosen = as_told(stream, source.name, encoding)
            else:
                chosen = detect(stream, source.name, scan(stream))
                if chosen not in UNREMARKABLE:
                    report.say(f"read as {chosen} (detected; --encoding says otherwise)", source.name)
            yield decode(stream, source.name, chosen)
    except (*DAMAGED, gzip.BadGzipFile) as error:
        raise UserError(f"{source.name} is damaged ({error}); fetch or pack it again") from error


def _unpacked(file: BinaryIO, name: str) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file)) if name.lower().endswith(".gz") else file


def _named_fields(pieces: Iterator[str], name: str, report: Report) -> Iterator[tuple[int, dict[str, str]]]:
    rows = csv_rows(pieces, name, report.bad, strict=True)
    first, header = next(rows, (1, []))
    names = [each.strip() for each in header]
    if not any(names):
        raise UserError(f"{name} is empty; its first line names the columns, the others hold a row each")
    if twice := [each for each, count in Counter(filter(None, names)).items() if count > 1]:
        raise UserError(f"{name}:{first}: several columns are called {twice[0]!r}; rename all but one")
    for number, row in rows:
        yield number, dict(zip(names, row, strict=True))


def _objects(pieces: Iterator[str], name: str, report: Report) -> Iterator[tuple[int, dict[str, str]]]:
    for number, value in json_rows(pieces, name, report.bad):
        if isinstance(value, dict):
            texts = {key: _text(field) for key, field in value.items()}
            yield number, {key: text for key, text in texts.items() if text is not None}
        else:
            problem = f"an object is needed, not {type(value).__name__}"
            report.bad(UserError(f'{name}:{number}: {problem}; write {{"column": "text"}}'))


def _text(field: Any) -> str | None:
    """A field as text.

    >>> _text("a"), _text(3), _text(True), _text(None), _text(["a"])
    ('a', '3', 'true', '', None)
    """
    match field:
        case str():
            return SURROGATES.sub("\ufffd", field)
        case None:
            return ""
        case bool() | int() | float():
            return json.dumps(field)
        case _:
            return None
