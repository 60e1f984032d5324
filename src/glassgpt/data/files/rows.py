"""Running text in rows: jsonl, json, csv and tsv, one string per row.

Invalid rows and the choice of a column go to a `Report`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgpt.data.files.chat_logs import parse_exports
from glassgpt.data.files.json_records import field_text, json_rows
from glassgpt.data.files.messages import has_content, parse_message
from glassgpt.data.files.records import csv_rows, find_column
from glassgpt.data.files.report import Report
from glassgpt.data.files.unreadable import NotText
from glassgpt.errors import UserError
from glassgpt.language import N_

TEXT = "text"
MESSAGES = ("messages", "conversations", "conversation")
ONLY_COLUMN = (
    "text",
    "content",
    "body",
    "sentence",
    "review",
    "comment",
    "message",
    "tweet",
    "title",
    "name",
)
"""Usual names of the only column of a table; another first row is text."""


def read_json_rows(pieces: Iterator[str], name: str, column: str | None, report: Report) -> Iterator[str]:
    """Yield the `text`, `messages` or `column` field of each record."""
    for number, record in json_rows(pieces, name, report.reject):
        try:
            text = _record_text(record, column, f"{name}:{number}")
        except UserError as problem:
            report.reject(problem)
        else:
            yield from _with_text(text, number, name, report)


def read_csv(pieces: Iterator[str], name: str, column: str | None, report: Report) -> Iterator[str]:
    """Yield the fields of `column`; by default of the only column, or of `text`.

    The first row of a table with one column is text as well, unless it looks like a name.
    """
    rows = csv_rows(pieces, name, report.reject)
    _, names = next(rows, (1, []))
    index = _column_index(names, column, name)
    number, first = next(rows, (0, names))
    if not column and len(names) == 1 and not _is_name(names[0], first[0]):
        report.note(N_("no header: the first row is text, too"), name)
        yield names[0]
    if number:
        yield from _with_text(first[index], number, name, report)
    for number, row in rows:
        yield from _with_text(row[index], number, name, report)


def _with_text(text: str, number: int, name: str, report: Report) -> Iterator[str]:
    """Yield the text of a row, or count a row without text."""
    if text.strip():
        yield text
    else:
        report.skip_empty(f"{name}:{number}")


def _is_name(cell: str, below: str) -> bool:
    """True if the first cell of the only column names it: a usual name, or one word above sentences.

    >>> _is_name("Text", "emma"), _is_name("poem", "O rose, thou art sick"), _is_name("ada", "adah")
    (True, True, False)
    """
    cell = cell.strip()
    usual = any(cell.casefold() in (name, f"{name}s") for name in ONLY_COLUMN)
    return usual or (cell.isidentifier() and " " in below.strip())


def _column_index(names: list[str], column: str | None, name: str) -> int:
    names = [each.strip() for each in names]
    found = names[0] if len(names) == 1 and not column else find_column(names, column or TEXT)
    if found is not None:
        return names.index(found)
    problem = (
        N_("no column {column!r}", column=column)
        if column
        else N_("several columns, but no {column!r}", column=TEXT)
    )
    raise NotText(
        "{name}: {problem}. Set `column` to one of: {names}.",
        name=name,
        problem=problem,
        names=", ".join(names),
    )


def _record_text(record: Any, column: str | None, where: str) -> str:
    if isinstance(record, str) and not column:
        return record
    if not isinstance(record, dict):
        raise NotText(
            "{where}: expected an object, got {name}. Write objects with a field 'text' or 'messages'.",
            where=where,
            name=type(record).__name__,
        )
    if not column and (logs := parse_exports(record)):
        return "\n\n".join(log.text() for log in logs)
    wanted = find_column(record, column or TEXT) or (None if column else _first(record, MESSAGES))
    if wanted is None:
        missing = repr(column) if column else N_("'text' or 'messages'")
        raise NotText(
            "{where}: no field {missing}. Set `column` to one of: {record}.",
            where=where,
            missing=missing,
            record=", ".join(record),
        )
    value = record[wanted]
    if isinstance(value, list):
        return "\n".join(_message_text(message, where) for message in value)
    if (text := field_text(value)) is None:
        raise NotText(
            "{where}: the field {wanted!r} is {name}, not text. Set `column` to another.",
            where=where,
            wanted=wanted,
            name=type(value).__name__,
        )
    return text


def _first(record: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in record), None)


def _message_text(message: Any, where: str) -> str:
    """Return a chat message as `role: content`.

    >>> _message_text({"role": "user", "content": [{"type": "text", "text": "Hi."}]}, "")
    'user: Hi.'
    """
    if not has_content(message):
        raise UserError("{where}: a message has no 'content'. Repair or remove the line.", where=where)
    parsed = parse_message(message)
    return f"{parsed.role or 'unknown'}: {parsed.text}"
