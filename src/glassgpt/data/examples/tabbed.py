"""Lines of tabs without a header, such as the files of Anki and Tatoeba, as rows with named columns.

Two columns are `source` and `target`; more are named by their numbers, from 1. Quotes are plain text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice

from glassgpt.data.examples.table import Row, open_text
from glassgpt.data.files import Report, Source, lines_of
from glassgpt.errors import UserError
from glassgpt.language import N_

CREDIT = "CC-BY"
"""Start of the last column of Anki's files: the license of a pair."""
SAMPLE = 100
"""Lines that decide the number of columns and which of them hold text."""


def is_tabbed(source: Source, encoding: str | None) -> bool:
    """Return True if most of the first lines of a file have a tab."""
    with open_text(source, encoding, Report()) as pieces:
        first = list(islice(filter(str.strip, lines_of(pieces, source.name)), SAMPLE))
    return 2 * sum("\t" in line for line in first) > len(first)


def first_fields(source: Source, encoding: str | None) -> list[str]:
    """Return the fields of the first line, without quotes around them."""
    with open_text(source, encoding, Report()) as pieces:
        first = next(lines_of(pieces, source.name), "")
    return [name.strip(' "\n') for name in first.split("\t")]


def tabbed_rows(
    source: Source, encoding: str | None, report: Report, has_header: bool = False
) -> Iterator[Row]:
    """Yield line number and fields of each line. Lines with another number of tabs are rejected."""
    with open_text(source, encoding, report) as pieces:
        lines = ((i, line) for i, line in enumerate(lines_of(pieces, source.name), 1) if line.strip(" \n"))
        if has_header:
            names = [name.strip() for name in next(lines)[1].split("\t")]
        else:
            sample = list(islice(lines, SAMPLE))
            names, lines = _names([line.split("\t") for _, line in sample]), chain(sample, lines)
            report.note(N_("no header: {columns}", columns=", tab, ".join(names)), source.name)
        for number, line in lines:
            fields = line.rstrip("\n").split("\t")
            if len(fields) == len(names):
                yield number, dict(zip(names, fields, strict=True))
            else:
                report.reject(_miscounted(f"{source.name}:{number}", len(fields), names))


def _names(rows: list[list[str]]) -> list[str]:
    """Name the columns by the most frequent number of fields of the first rows.

    >>> _names([["a", "b"], ["c", "d"]]), _names([["1", "a", "2", "b"]])
    (['source', 'target'], ['1', '2', '3', '4'])
    """
    ((width, _),) = Counter(map(len, rows)).most_common(1) or [(2, 0)]
    return ["source", "target"] if width <= 2 else [str(number) for number in range(1, width + 1)]


def text_columns(row: dict[str, str]) -> tuple[str | None, str | None]:
    """Find the two columns of text in a row whose other columns are numbers and a license.

    >>> text_columns({"1": "Go.", "2": "Va !", "3": "CC-BY 2.0 (France)"})
    ('1', '2')
    >>> text_columns({"1": "17", "2": "Go.", "3": "24", "4": "Va !"})
    ('2', '4')
    """
    if "source" in row:
        return "source", "target"
    found = [name for name, field in row.items() if not (field.strip().isdigit() or field.startswith(CREDIT))]
    return (found[0], found[1]) if len(found) == 2 else (None, None)


def _miscounted(where: str, n_fields: int, names: list[str]) -> UserError:
    expected = (
        N_("one between source and target")
        if len(names) == 2
        else N_("{n_tabs}, as in most lines", n_tabs=len(names) - 1)
    )
    remedy = N_("Keep two columns, or name the columns in the first line (source, target)")
    return UserError(
        "{where}: {n_fields} tabs, expected {expected}. {remedy}.",
        where=where,
        n_fields=n_fields - 1,
        expected=expected,
        remedy=remedy,
    )
