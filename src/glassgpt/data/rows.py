"""Text that lies in rows: jsonl, json, csv and tsv, one string a row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from glassgpt.data.encoding import NotText
from glassgpt.errors import UserError

MAX_VALUE = 64 << 20
"""Characters of one line of jsonl, one field of csv or one json file, which are held in memory whole."""


def read_jsonl(pieces: Iterator[str], name: str, column: str | None) -> Iterator[str]:
    """One object a line: its `text`, its `messages`, or the field named by `column`."""
    for number, line in enumerate(_lines(pieces, name), 1):
        if line.strip():
            yield _record_text(_json(line, f"{name}:{number}"), column, f"{name}:{number}")


def read_json(pieces: Iterator[str], name: str, column: str | None) -> Iterator[str]:
    """A list of such objects, or a single one."""
    whole = ""
    for piece in pieces:
        if len(whole := whole + piece) > MAX_VALUE:
            raise UserError(
                f"{name} is over {MAX_VALUE:,} characters of json; write one object a line, as .jsonl"
            )
    if whole.strip():
        value = _json(whole, name)
        for number, record in enumerate(value if isinstance(value, list) else [value], 1):
            yield _record_text(record, column, f"{name}, entry {number}")


def read_csv(pieces: Iterator[str], name: str, column: str | None) -> Iterator[str]:
    """The column named by `column`; without one, the only column or the one called `text`."""
    lines = _lines(pieces, name)
    header = next(lines, "")
    delimiter = max(",\t;", key=header.count)
    rows = csv.reader(chain([header], lines), delimiter=delimiter)
    former_limit = csv.field_size_limit(MAX_VALUE)
    try:
        names = next(rows, [])
        index = _column_index(names, column, name)
        for row in rows:
            if len(row) > len(names):
                raise UserError(
                    f"{name}:{rows.line_num}: {len(row)} fields, but the header has {len(names)}; "
                    f"put fields that contain {delimiter!r} into quotes"
                )
            if index < len(row):
                yield row[index]
    except csv.Error as error:
        raise UserError(f"{name}:{rows.line_num}: not csv ({error}); check the quotes") from error
    finally:
        csv.field_size_limit(former_limit)


def _column_index(names: list[str], column: str | None, name: str) -> int:
    names = [each.strip() for each in names]
    wanted = column or ("text" if "text" in names else names[0] if len(names) == 1 else None)
    if wanted in names:
        return names.index(wanted)
    problem = f"has no column {column!r}" if column else "has several columns, none of them called 'text'"
    raise NotText(f"{name} {problem}; choose one with --column: {', '.join(names)}")


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{where}: not json ({error}); repair or remove it") from error


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


def _lines(pieces: Iterable[str], name: str) -> Iterator[str]:
    """Lines with their newline; only `\\n` ends one, since json may hold other separators in its strings."""
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            yield line + "\n"
        if len(rest) > MAX_VALUE:
            raise UserError(f"{name} has a line of over {MAX_VALUE:,} characters; split it")
    if rest:
        yield rest
