"""Running text in rows: jsonl, json, csv and tsv, one string per row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgpt.data.files.charset import NotText
from glassgpt.data.files.messages import parse_message
from glassgpt.data.files.records import MAX_VALUE, csv_rows, json_rows, parse_value
from glassgpt.errors import UserError


def read_jsonl(pieces: Iterator[str], name: str, column: str | None) -> Iterator[str]:
    """Yield the `text`, `messages` or `column` field of each line."""
    for number, record in json_rows(pieces, name):
        yield _record_text(record, column, f"{name}:{number}")


def read_json_text(pieces: Iterator[str], name: str, column: str | None) -> Iterator[str]:
    """Yield the same fields from a list of objects, or from one object."""
    whole = ""
    for piece in pieces:
        if len(whole := whole + piece) > MAX_VALUE:
            raise UserError(
                f"{name}: the file has more than {MAX_VALUE:,} characters. Write one object per line instead."
            )
    if whole.strip():
        value = parse_value(whole, name)
        for number, record in enumerate(value if isinstance(value, list) else [value], 1):
            yield _record_text(record, column, f"{name}, entry {number}")


def read_csv(pieces: Iterator[str], name: str, column: str | None) -> Iterator[str]:
    """Yield the fields of `column`; by default of the only column, or of `text`."""
    rows = csv_rows(pieces, name)
    _, names = next(rows, (1, []))
    index = _column_index(names, column, name)
    for _, row in rows:
        if index < len(row):
            yield row[index]


def _column_index(names: list[str], column: str | None, name: str) -> int:
    names = [each.strip() for each in names]
    wanted = column or ("text" if "text" in names else names[0] if len(names) == 1 else None)
    if wanted in names:
        return names.index(wanted)
    problem = f"no column {column!r}" if column else "several columns, but no 'text'"
    raise NotText(f"{name}: {problem}. Set `column` to one of: {', '.join(names)}.")


def _record_text(record: Any, column: str | None, where: str) -> str:
    if isinstance(record, str) and not column:
        return record
    if not isinstance(record, dict):
        raise NotText(
            f"{where}: expected an object, got {type(record).__name__}. Write objects with a field 'text' or "
            "'messages'."
        )
    wanted = column or ("text" if "text" in record else "messages")
    if wanted not in record:
        missing = repr(column) if column else "'text' or 'messages'"
        raise NotText(f"{where}: no field {missing}. Set `column` to one of: {', '.join(record)}.")
    value = record[wanted]
    if isinstance(value, list):
        return "\n".join(_message_text(message, where) for message in value)
    if not isinstance(value, str | None):
        raise NotText(
            f"{where}: the field {wanted!r} is {type(value).__name__}, not text. Set `column` to another."
        )
    return value or ""


def _message_text(message: Any, where: str) -> str:
    """Return a chat message as `role: content`.

    >>> _message_text({"role": "user", "content": [{"type": "text", "text": "Hi."}]}, "")
    'user: Hi.'
    """
    if not isinstance(message, dict) or "content" not in message:
        raise UserError(f"{where}: a message has no 'content'. Repair or remove the line.")
    parsed = parse_message(message)
    return f"{message.get('role', 'unknown')}: {parsed.text}"
