"""Files of records: the rows of csv and tsv, the values of jsonl, each with the number of its line.

What is text in a record is not known here: rows.py takes one string from each, table.py names the columns.
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
"""Characters of one line of jsonl, one field of csv or one json file, which are held in memory whole."""


def refuse(problem: UserError) -> None:
    """What is done about a bad row where nothing else is asked for."""
    raise problem


def json_rows(
    pieces: Iterator[str], name: str, on_bad: Callable[[UserError], None] = refuse
) -> Iterator[tuple[int, Any]]:
    """Line number and value of each line of jsonl; `on_bad` is told of lines that aren't json.

    >>> list(json_rows(iter(['{"a": 1}\\n\\n[', ']']), "x.jsonl"))
    [(1, {'a': 1}), (3, [])]
    """
    for number, line in enumerate(lines_of(pieces, name), 1):
        if line.strip():
            try:
                value = parse_json(line, f"{name}:{number}")
            except UserError as problem:
                on_bad(problem)
            else:
                yield number, value


def csv_rows(
    pieces: Iterator[str], name: str, on_bad: Callable[[UserError], None] = refuse, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """The first line's number and the fields of each row of csv or tsv, the header's too.

    `on_bad` is told of rows with more fields than the header and, with `strict`, of those with fewer and
    of unbalanced quotes. Where it returns, reading goes on: after such quotes at the very next line, so that
    one open quote costs one line and not all that it would have swallowed.

    >>> list(csv_rows(iter(['a,b\\n"1\\n', '2",3\\n4,5\\n']), "x.csv"))
    [(1, ['a', 'b']), (2, ['1\\n2', '3']), (4, ['4', '5'])]
    """
    tape = _Tape(lines_of(pieces, name))
    delimiter = "\t" if ending(name) == ".tsv" else max(",\t;", key=tape.peek().count)
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
                problem = UserError(f"{name}:{tape.rewind()}: not csv ({error}); check the quotes")
                (on_bad if width else refuse)(problem)  # without a header nothing has a meaning
    finally:
        csv.field_size_limit(former_limit)


def ending(name: str) -> str:
    """What a file is by its name, packed with gzip or not.

    >>> ending("Pairs.TSV.gz"), ending("train.en")
    ('.tsv', '.en')
    """
    return PurePath(name.lower().removesuffix(".gz")).suffix


def _miscounted(where: str, row: list[str], width: int, delimiter: str) -> UserError:
    remedy = "put fields that contain {!r} into quotes" if len(row) > width else "write {!r} between fields"
    return UserError(f"{where}: {len(row)} fields, but the header has {width}; {remedy.format(delimiter)}")


def parse_json(text: str, where: str) -> Any:
    """A value; UserError, with `where`, for what isn't json."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not json ({error}); repair or remove it") from error


def lines_of(pieces: Iterable[str], name: str) -> Iterator[str]:
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


class _Tape:
    """Lines that can be read again from the second one since the last mark."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._ahead, self._since = lines, deque[str](), list[str]()
        self._marked = 1  # the number of the line after the mark

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self._since.append(line)
        return line

    def peek(self) -> str:
        """The next line, or "" after the last."""
        if not self._ahead:
            self._ahead.append(next(self._lines, ""))
        return self._ahead[0]

    def mark(self) -> int:
        """Forget what was read since the last mark; the number of its first line."""
        number = self._marked
        self._marked += len(self._since)
        self._since.clear()
        return number

    def rewind(self) -> int:
        """Go back to the second line since the last mark; the number of the first, which is given up."""
        self._ahead.extendleft(reversed(self._since[1:]))
        del self._since[1:]
        return self.mark()
