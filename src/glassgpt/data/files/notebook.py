"""Text of .ipynb: the sources of the cells, without outputs, metadata and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgpt.data.files.html import MAX_PAGE
from glassgpt.data.files.json_records import parse_value
from glassgpt.data.files.report import Report
from glassgpt.data.files.unreadable import NotText
from glassgpt.language import N_


def read_notebook(pieces: Iterator[str], name: str, report: Report) -> Iterator[str]:
    """Yield the source of each cell, text and code, in their order; cells without text are counted.

    Raises NotText for JSON that is no notebook, UserError for what is not JSON and over MAX_PAGE characters.
    Source: nbformat 3 (`worksheets`, `input`) and 4.
    """
    whole = ""
    for piece in pieces:
        if len(whole := whole + piece) > MAX_PAGE:
            raise NotText(
                "{name}: it has more than {max_page:,} characters. Clear its outputs.",
                name=name,
                max_page=MAX_PAGE,
            )
    match parse_value(whole, name):
        case {"cells": list(cells)} | {"worksheets": [{"cells": list(cells)}, *_]}:
            for number, text in enumerate(map(_source, cells), 1):
                if text.strip():
                    yield text
                else:
                    report.skip_empty(N_("{name}, cell {number}", name=name, number=number))
        case _:
            raise NotText(
                "{name}: this is not a notebook: it has no cells. Give it the ending .json.", name=name
            )


def _source(cell: Any) -> str:
    """Return the source of a cell: a string, or a list of its lines.

    >>> _source({"cell_type": "code", "source": ["x = 1\\n", "x"], "outputs": [1]})
    'x = 1\\nx'
    """
    match cell:
        case {"source": str(text)} | {"input": str(text)}:
            return text
        case {"source": list(lines)} | {"input": list(lines)}:
            return "".join(line for line in lines if isinstance(line, str))
    return ""
