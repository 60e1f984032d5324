"""Tables of text in other programs' formats: CSV, Markdown, LaTeX, HTML.

A table is a head and rows of cells, all of them text. Every function escapes what its format gives a meaning.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
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


def as_csv(head: Cells, rows: Sequence[Cells]) -> str:
    """Return a table as CSV with a head.

    >>> as_csv(["run", "loss"], [["a, b", "1.5"]])
    'run,loss\\n"a, b",1.5\\n'
    """
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head, *rows])
    return out.getvalue()


def as_markdown(head: Cells, rows: Sequence[Cells], right: Collection[int] = ()) -> str:
    """Return a table as Markdown. right: columns of numbers.

    >>> print(as_markdown(["run", "loss"], [["a|b", "1.5"]], right={1}))
    | run | loss |
    |---|---:|
    | a\\|b | 1.5 |
    """
    rule = "".join("---:|" if i in right else "---|" for i in range(len(head)))
    lines = [f"| {' | '.join(map(_markdown, cells))} |" for cells in [head, *rows]]
    return "\n".join([lines[0], "|" + rule, *lines[1:]])


def _markdown(text: str) -> str:
    return escape(re.sub(r"([\\|`*_\[\]])", r"\\\1", text), quote=False).replace("\n", " ")


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
    head: Cells, rows: Sequence[Cells], right: Collection[int] = (), marked: Collection[int] = ()
) -> str:
    """Return a table as HTML. right: columns of numbers; marked: rows in bold."""
    lines = [_html_row("th", head, right, False)]
    lines += [_html_row("td", cells, right, i in marked) for i, cells in enumerate(rows)]
    return f"<table>{''.join(lines)}</table>"


def _html_row(tag: str, cells: Cells, right: Collection[int], bold: bool) -> str:
    def style(i: int) -> str:
        return CELL.format("right" if i in right else "left")

    texts = [f"<b>{escape(text)}</b>" if bold and text else escape(text) for text in cells]
    return f"<tr>{''.join(f'<{tag} {style(i)}>{text}</{tag}>' for i, text in enumerate(texts))}</tr>"
