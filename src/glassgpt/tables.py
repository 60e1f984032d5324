"""Tables of text in other programs' formats: CSV, Markdown, LaTeX, HTML.

A table is a head and rows of cells, all of them text. Every function escapes what its format gives a meaning.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Sequence
from html import escape

Cells = Sequence[str]

TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "…": r"\dots{}",
    **{char: "\\" + char for char in "&%$#_{}"},
}
"""Characters that LaTeX obeys, or that its default font lacks."""
CELL = 'style="text-align: {}; padding: 2px 10px 2px 0"'
WIDEST = 16.0
"""Length of the longest bar in HTML, in em."""


def as_csv(head: Cells, rows: Sequence[Cells]) -> str:
    """Return a table as CSV with a head.

    >>> as_csv(["run", "loss"], [["a, b", "1.5"]])
    'run,loss\\n"a, b",1.5\\n'
    """
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head, *rows])
    return out.getvalue()


def as_markdown(head: Cells, rows: Iterable[Cells], right: Collection[int] = ()) -> str:
    """Return a table as Markdown. right: columns of numbers.

    >>> print(as_markdown(["run", "loss"], [["a|b", "1.5"]], right={1}))
    | run | loss |
    |---|---:|
    | a\\|b | 1.5 |
    """
    return markdown_table([*map(plain_markdown, head)], (map(plain_markdown, cells) for cells in rows), right)


def markdown_table(head: Cells, rows: Iterable[Iterable[str]], right: Collection[int] = ()) -> str:
    """Return a table whose cells are Markdown. right: columns of numbers.

    >>> print(markdown_table(["*name*"], [["`a|b`"]]))
    | *name* |
    |---|
    | `a\\|b` |
    """
    rule = "".join("---:|" if i in right else "---|" for i in range(len(head)))
    first, *others = [f"| {' | '.join(map(_in_a_cell, cells))} |" for cells in [head, *rows]]
    return "\n".join([first, "|" + rule, *others])


def _in_a_cell(markdown: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\|", markdown).replace("\n", " ")


def plain_markdown(text: str) -> str:
    """Return Markdown that shows a text as it is.

    >>> print(plain_markdown("|q · k| < *2* $"))
    \\|q · k\\| &lt; \\*2\\* &#36;
    """
    escaped = escape(re.sub(r"([\\|`*_\[\]#])", r"\\\1", text), quote=False)
    return escaped.replace("$", "&#36;").replace("~", "&#126;")  # no escapes of all Markdown


def prose_markdown(text: str) -> str:
    """Return Markdown that shows a text as it is, except code in backticks.

    >>> print(prose_markdown("`W @ x` weighs *all* tokens"))
    `W @ x` weighs \\*all\\* tokens
    """
    parts = re.split(r"(`[^`\n]+`)", text)
    return "".join(part if i % 2 else plain_markdown(part) for i, part in enumerate(parts))


def as_latex(head: Cells, rows: Sequence[Cells], right: Collection[int] = ()) -> str:
    """Return a table as a LaTeX `tabular` with the rules of booktabs. right: columns of numbers.

    >>> print(as_latex(["run", "loss"], [["a_b", "1.5"]], right={1}))
    \\begin{tabular}{lr}
    \\toprule
    run & loss \\\\
    \\midrule
    a\\_b & 1.5 \\\\
    \\bottomrule
    \\end{tabular}
    """
    columns = "".join("r" if i in right else "l" for i in range(len(head)))
    first, *others = [" & ".join(map(tex, cells)) + r" \\" for cells in [head, *rows]]
    body = [r"\toprule", first, r"\midrule", *others, r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"])


def tex(text: str) -> str:
    """Escape text for LaTeX.

    >>> print(tex("50 % of a_b"))
    50 \\% of a\\_b
    """
    return "".join(TEX.get(char, char) for char in text)


def as_html(
    head: Cells,
    rows: Sequence[Cells],
    right: Collection[int] = (),
    marked: Collection[int] = (),
    bars: Sequence[float | None] = (),
) -> str:
    """Return a table as HTML. right: columns of numbers; marked: rows in bold.

    bars: a last column with a bar for each row, by its length from 0 to 1; None for no bar.
    """
    ends = [_bar(length, i in marked) for i, length in enumerate(bars)] or [""] * len(rows)
    lines = [_html_row("th", head, right, False, "<th></th>" if bars else "")]
    lines += [
        _html_row("td", cells, right, i in marked, end)
        for i, (cells, end) in enumerate(zip(rows, ends, strict=True))
    ]
    return f"<table>{''.join(lines)}</table>"


def _html_row(tag: str, cells: Cells, right: Collection[int], bold: bool, end: str) -> str:
    def style(i: int) -> str:
        return CELL.format("right" if i in right else "left")

    texts = [f"<b>{escape(text)}</b>" if bold and text else escape(text) for text in cells]
    return f"<tr>{''.join(f'<{tag} {style(i)}>{text}</{tag}>' for i, text in enumerate(texts))}{end}</tr>"


def _bar(length: float | None, bold: bool) -> str:
    """Return a cell with a bar in the color of the page's text."""
    width, opacity = WIDEST * (length or 0), 0.85 if bold else 0.4
    style = f"display: inline-block; height: 0.75em; width: {width:.1f}em; background: currentColor"
    return f'<td {CELL.format("left")}><span style="{style}; opacity: {opacity}"></span></td>'
