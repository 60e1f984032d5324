"""Rows of csv and tsv, each with its line number.

Their meaning is decided elsewhere: rows.py takes one string from each, table.py names the columns. Values of
JSON are read by json_records.py.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath

from glassgpt.errors import UserError
from glassgpt.language import N_

MAX_VALUE = 64 << 20
"""Limit in characters for a jsonl line, a csv field and a json file, each held in RAM."""
MIN_SWALLOWED = 3
"""Number of lines of csv inside one row that must look like rows: lines of verse have commas, too."""


def refuse(problem: UserError) -> None:
    """Raise the problem: the default for invalid rows."""
    raise problem


def csv_rows(
    pieces: Iterator[str], name: str, on_bad: Callable[[UserError], None] = refuse
) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of each row of csv or tsv, including the header.

    Rows with more or fewer fields than the header, and rows with unbalanced quotes, go to `on_bad`. If it
    returns, reading continues at the next line, so one open quote costs one line only. In tsv such a line
    costs nothing: its quotes are part of the text.

    >>> list(csv_rows(iter(['a,b\\n"1\\n', '2",3\\n4,5\\n']), "x.csv"))
    [(1, ['a', 'b']), (2, ['1\\n2', '3']), (4, ['4', '5'])]
    >>> list(csv_rows(iter(['a\\tb\\n1\\t"2\\n3\\t4" tall\\n']), "x.tsv"))
    [(1, ['a', 'b']), (2, ['1', '"2']), (3, ['3', '4" tall'])]
    """
    tape = _Tape(lines_of(pieces, name))
    delimiter = "\t" if suffix_of(name) == ".tsv" else max(",\t;", key=tape.peek().count)
    width, former_limit = 0, csv.field_size_limit(MAX_VALUE)
    try:
        while tape.peek():
            rows = csv.reader(tape, delimiter=delimiter, strict=True)
            try:
                for row in rows:
                    width = width or len(row)
                    if tape.n_lines > 1 and _swallows_rows(tape.since, width, delimiter):
                        raise csv.Error(N_("a quote that opens here closes in another row"))
                    number = tape.mark()
                    if row and len(row) != width:
                        on_bad(_miscounted(f"{name}:{number}", row, width, delimiter))
                    elif row:
                        yield number, row
            except csv.Error as error:
                literal = tape.since[0].rstrip("\r\n").split(delimiter)
                number = tape.rewind()
                problem = UserError(
                    "{name}:{number}: this is not csv ({error}). Check the quotes.",
                    name=name,
                    number=number,
                    error=error,
                )
                if delimiter == "\t" and len(literal) == (width or len(literal)):
                    width = len(literal)
                    yield number, literal
                elif not width:  # the header itself: the file cannot be read
                    raise problem from error
                else:
                    on_bad(problem)
    finally:
        csv.field_size_limit(former_limit)


def _swallows_rows(lines: list[str], width: int, delimiter: str) -> bool:
    """True if lines inside one row look like rows themselves: its quotes are unbalanced.

    >>> _swallows_rows(['1,"a\\n', "2,b\\n", "3,c\\n", '4,d"\\n'], 2, ",")
    True
    >>> _swallows_rows(['1,"a,\\n', "b\\n", 'c"\\n'], 2, ",")
    False
    """
    inner = lines[1:]
    alike = sum(line.count(delimiter) == width - 1 for line in inner)
    return width > 1 and alike == len(inner) and (delimiter == "\t" or alike >= MIN_SWALLOWED)


def suffix_of(name: str) -> str:
    """Return the suffix of a file name, without `.gz`, in lower case.

    >>> suffix_of("Pairs.TSV.gz"), suffix_of("train.en")
    ('.tsv', '.en')
    """
    return PurePath(name.lower().removesuffix(".gz")).suffix


def _miscounted(where: str, row: list[str], width: int, delimiter: str) -> UserError:
    remedy = "Quote fields that contain {!r}" if len(row) > width else "Write {!r} between fields"
    return UserError(
        "{where}: {n_row} fields, but the header has {width}. {remedy}.",
        where=where,
        n_row=len(row),
        width=width,
        remedy=remedy.format(delimiter),
    )


def find_column(names: Iterable[str], wanted: str) -> str | None:
    """Find a column by name: exactly, or else without regard to case and surrounding spaces.

    >>> find_column(["ID", "Text"], "text"), find_column(["Text", "text"], "text"), find_column(["a"], "b")
    ('Text', 'text', None)
    """
    known = list(names)
    if wanted in known:
        return wanted
    return next((name for name in known if name.strip().casefold() == wanted.strip().casefold()), None)


def lines_of(pieces: Iterable[str], name: str) -> Iterator[str]:
    """Yield lines with their newline. Only `\\n` ends a line: JSON strings may contain other separators."""
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            yield line + "\n"
        if len(rest) > MAX_VALUE:
            raise UserError(
                "{name}: a line has more than {max_value:,} characters. Split it.",
                name=name,
                max_value=MAX_VALUE,
            )
    if rest:
        yield rest


class _Tape:
    """Lines with a mark. Reading can restart at the second line after it."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._ahead = lines, deque[str]()
        self.since = list[str]()
        """The lines read after the mark."""
        self._marked = 1  # number of the line after the mark

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self.since.append(line)
        return line

    @property
    def n_lines(self) -> int:
        """Number of lines read after the mark."""
        return len(self.since)

    def peek(self) -> str:
        """Return the next line without reading it, or "" at the end."""
        if not self._ahead:
            self._ahead.append(next(self._lines, ""))
        return self._ahead[0]

    def mark(self) -> int:
        """Move the mark here. Return the number of the first line after the old mark."""
        number = self._marked
        self._marked += len(self.since)
        self.since.clear()
        return number

    def rewind(self) -> int:
        """Go back to the second line after the mark. Return the number of the first line, now skipped."""
        self._ahead.extendleft(reversed(self.since[1:]))
        del self.since[1:]
        return self.mark()
