"""Records: rows of csv and tsv, values of jsonl, each with its line number.

Their meaning is decided elsewhere: rows.py takes one string from each, table.py names the columns.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import Any

from glassgpt.errors import UserError

MAX_VALUE = 64 << 20
"""Limit in characters for a jsonl line, a csv field and a json file, each held in RAM."""


def refuse(problem: UserError) -> None:
    """Raise the problem: the default for invalid rows."""
    raise problem


def json_rows(
    pieces: Iterator[str], name: str, on_bad: Callable[[UserError], None] = refuse
) -> Iterator[tuple[int, Any]]:
    """Yield line number and value of each jsonl line. Lines that are not JSON go to `on_bad`.

    >>> list(json_rows(iter(['{"a": 1}\\n\\n[', ']']), "x.jsonl"))
    [(1, {'a': 1}), (3, [])]
    """
    for number, line in enumerate(lines_of(pieces, name), 1):
        if line.strip():
            try:
                value = parse_value(line, f"{name}:{number}")
            except UserError as problem:
                on_bad(problem)
            else:
                yield number, value


def csv_rows(
    pieces: Iterator[str], name: str, on_bad: Callable[[UserError], None] = refuse, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of each row of csv or tsv, including the header.

    Rows with more fields than the header go to `on_bad`. With `strict`, so do rows with fewer fields and with
    unbalanced quotes. If `on_bad` returns, reading continues; after unbalanced quotes it continues at the
    next line, so one open quote costs one line only.

    >>> list(csv_rows(iter(['a,b\\n"1\\n', '2",3\\n4,5\\n']), "x.csv"))
    [(1, ['a', 'b']), (2, ['1\\n2', '3']), (4, ['4', '5'])]
    """
    tape = _Tape(lines_of(pieces, name))
    delimiter = "\t" if suffix_of(name) == ".tsv" else max(",\t;", key=tape.peek().count)
    width, former_limit = 0, csv.field_size_limit(MAX_VALUE)
    try:
        while tape.peek():
            rows = csv.reader(tape, delimiter=delimiter, strict=strict)
            try:
                for row in rows:
                    number = tape.mark()
                    width = width or len(row)
                    if len(row) > width or (strict and 0 < len(row) < width):
                        on_bad(_miscounted(f"{name}:{number}", row, width, delimiter))
                    elif row:
                        yield number, row
            except csv.Error as error:
                problem = UserError(f"{name}:{tape.rewind()}: this is not csv ({error}). Check the quotes.")
                if not width:  # the header itself: the file cannot be read
                    raise problem from error
                on_bad(problem)
    finally:
        csv.field_size_limit(former_limit)


def suffix_of(name: str) -> str:
    """Return the suffix of a file name, without `.gz`, in lower case.

    >>> suffix_of("Pairs.TSV.gz"), suffix_of("train.en")
    ('.tsv', '.en')
    """
    return PurePath(name.lower().removesuffix(".gz")).suffix


def _miscounted(where: str, row: list[str], width: int, delimiter: str) -> UserError:
    remedy = "Quote fields that contain {!r}" if len(row) > width else "Write {!r} between fields"
    return UserError(f"{where}: {len(row)} fields, but the header has {width}. {remedy.format(delimiter)}.")


def parse_value(text: str, where: str) -> Any:
    """Parse a JSON value. Raises UserError, with `where`, for invalid JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: this is not JSON ({error}). Repair or remove it.") from error


def lines_of(pieces: Iterable[str], name: str) -> Iterator[str]:
    """Yield lines with their newline. Only `\\n` ends a line: JSON strings may contain other separators."""
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            yield line + "\n"
        if len(rest) > MAX_VALUE:
            raise UserError(f"{name}: a line has more than {MAX_VALUE:,} characters. Split it.")
    if rest:
        yield rest


class _Tape:
    """Lines with a mark. Reading can restart at the second line after it."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._ahead, self._since = lines, deque[str](), list[str]()
        self._marked = 1  # number of the line after the mark

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self._since.append(line)
        return line

    def peek(self) -> str:
        """Return the next line without reading it, or "" at the end."""
        if not self._ahead:
            self._ahead.append(next(self._lines, ""))
        return self._ahead[0]

    def mark(self) -> int:
        """Move the mark here. Return the number of the first line after the old mark."""
        number = self._marked
        self._marked += len(self._since)
        self._since.clear()
        return number

    def rewind(self) -> int:
        """Go back to the second line after the mark. Return the number of the first line, now skipped."""
        self._ahead.extendleft(reversed(self._since[1:]))
        del self._since[1:]
        return self.mark()
