"""Text that lies in rows: jsonl, json, csv and tsv, one string a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgpt.data.files.charset import NotText
from glassgpt.data.files.records import MAX_VALUE, csv_rows, json_rows, parse_json
from glassgpt.errors import UserError


def read_jsonl(pieces: Iterator[str], name: str, column: str | None) -> Iterator[str]:
    """One object a line: its `text`, its `messages`, or the field named by `column`."""
    for number, record in json_rows(pieces, name):
        yield _record_text(record, column, f"{name}:{number}")


def read_json(pieces: Iterator[str], name: str, column: str | None) -> Iterator[str]:
    """A list of such objects, or a single one."""
    whole = ""
    for piece in pieces:
        if len(whole := whole + piece) > MAX_VALUE:
            raise UserError(
                f"{name} is over {MAX_VALUE:,} characters of json; write one object a line, as .jsonl"
            )
    if whole.strip():
        value = parse_json(whole, name)
        for number, record in enumerate(value if isinstance(value, list) else [value], 1):
            yield _record_text(record, column, f"{name}, entry {number}")


def read_csv(pieces: Iterator[str], name: str, column: str | None) -> Iterator[str]:
    """The column named by `column`; without one, the only column or the one called `text`."""
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
    problem = f"has no column {column!r}" if column else "has several columns, none of them called 'text'"
    raise NotText(f"{name} {problem}; choose one with --column: {', '.join(names)}")


def _record_text(record: Any, column: str | None, where: str) -> str:
    if isinstance(record, str) and not column:
        return record
    if not isinstance(record, dict):
        raise NotText(
            f"{where}: an object with a field 'text' or 'messages' is needed, not {type(record).__name__}"
        )
    wanted = column or ("text" if "text" in record else "messages")
    if wanted not in record:
        missing = repr(column) if column else "'text' or 'messages'"
        raise NotText(f"{where}: no field {missing}; choose one with --column: {', '.join(record)}")
    value = record[wanted]
    if isinstance(value, list):
        return "\n".join(_message_text(message, where) for message in value)
    if not isinstance(value, str | None):
        raise NotText(
            f"{where}: the field {wanted!r} holds {type(value).__name__}, not text; choose with --column"
        )
    return value or ""


def _message_text(message: Any, where: str) -> str:
    """A chat message as `role: content`, where the content may come in parts.

    >>> _message_text({"role": "user", "content": [{"type": "text", "text": "Hi."}]}, "")
    'user: Hi.'
    """
    if not isinstance(message, dict) or "content" not in message:
        raise UserError(f"{where}: a message needs 'role' and 'content'; repair or remove the line")
    content = message["content"] or ""
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return f"{message.get('role', 'unknown')}: {content}"
