"""Records of JSON, each with its number: jsonl, lists, and objects one after another.

Their meaning is decided elsewhere: rows.py takes one string from each, table.py names the fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from glassgpt.data.files.charset import replace_surrogates
from glassgpt.data.files.records import MAX_VALUE, lines_of, refuse
from glassgpt.errors import UserError

CHAT_FIELDS = frozenset({"messages", "conversations", "conversation"})
"""Fields with a list of messages, which are no records of their own."""
MAX_PARTS = 4_000_000
"""Limit of the values in one text of JSON: each takes up to 200 bytes of RAM, for 3 in the file."""
SPACE = re.compile(r"\s*")
DECODER = json.JSONDecoder()


def json_rows(
    pieces: Iterator[str], name: str, on_bad: Callable[[UserError], None] = refuse
) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each record: of jsonl, of one list, or of values one after another.

    The suffix does not decide: a list in a .jsonl and lines in a .json are read as well. The number is that
    of the line; in a list, that of the entry. Lines that are not JSON go to `on_bad`.

    >>> list(json_rows(iter(['{"a": 1}\\n\\n[', '2, 3]']), "x.jsonl"))
    [(1, {'a': 1}), (3, [2, 3])]
    >>> list(json_rows(iter(['[{"a":\\n 1},{}]']), "x.jsonl"))
    [(1, {'a': 1}), (2, {})]
    """
    lines = lines_of(pieces, name)
    first = _through_text(lines)
    is_value = _is_value(first)
    more = _through_text(lines) if is_value else _up_to_limit(lines)
    is_jsonl = is_value and any(map(str.strip, more))
    values = None if is_jsonl else _values("".join(first + more))
    if values is None:
        yield from _lines(chain(first, more, lines), name, on_bad)
    elif len(values) == 1:
        yield from _entries(*values[0])
    else:
        yield from values


def _lines(lines: Iterable[str], name: str, on_bad: Callable[[UserError], None]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                value = parse_value(line, f"{name}:{number}")
            except UserError as problem:
                on_bad(problem)
            else:
                yield number, value


def _through_text(lines: Iterator[str]) -> list[str]:
    """Read through the next line that is not blank."""
    read = []
    for line in lines:
        read.append(line)
        if line.strip():
            break
    return read


def _up_to_limit(lines: Iterator[str]) -> list[str]:
    """Read as much as one value may hold."""
    read, n_chars = [], 0
    for line in lines:
        read.append(line)
        if (n_chars := n_chars + len(line)) > MAX_VALUE:
            break
    return read


def _is_value(lines: list[str]) -> bool:
    try:
        parse_value("".join(lines), "")
    except UserError:
        return False
    return True


def _values(text: str) -> list[tuple[int, Any]] | None:
    """Return line numbers and values of a text of JSON values; None if it is anything else."""
    if _n_parts(text) > MAX_PARTS:
        return None
    values, at, number = [], 0, 1
    while (begin := _skip_space(text, at)) < len(text):
        number += text.count("\n", at, begin)
        try:
            value, at = DECODER.raw_decode(text, begin)
        except (ValueError, RecursionError):
            return None
        values.append((number, value))
        number += text.count("\n", begin, at)
    return values


def _skip_space(text: str, at: int) -> int:
    match = SPACE.match(text, at)
    return match.end() if match else at


def _entries(number: int, value: Any) -> Iterator[tuple[int, Any]]:
    """Yield the records of a file with one value: of a list, or of the only list in an object."""
    if isinstance(value, dict) and len(value) == 1 and not value.keys() & CHAT_FIELDS:
        (only,) = value.values()
        value = only if _is_list_of_objects(only) else value
    yield from enumerate(value, 1) if isinstance(value, list) else [(number, value)]


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def parse_value(text: str, where: str) -> Any:
    """Parse a JSON value. Raises UserError, with `where`, for invalid JSON."""
    if _n_parts(text) > MAX_PARTS:
        raise UserError(
            "{where}: this JSON has more than {max_parts:,} parts. Write one object per line instead.",
            where=where,
            max_parts=MAX_PARTS,
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(
            "{where}: this is not JSON ({error}). Repair or remove it.", where=where, error=error
        ) from error


def _n_parts(text: str) -> int:
    """Count commas and opening brackets: an upper bound of the values, as strings have some, too."""
    return sum(map(text.count, ",[{"))


def field_text(field: Any) -> str | None:
    """Convert a JSON field to text, or to None for a list or an object.

    >>> field_text("a"), field_text(3), field_text(True), field_text(None), field_text(["a"])
    ('a', '3', 'true', '', None)
    """
    match field:
        case str():
            return replace_surrogates(field)
        case None:
            return ""
        case bool() | int() | float():
            return json.dumps(field)
        case _:
            return None
