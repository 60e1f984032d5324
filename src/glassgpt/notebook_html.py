"""HTML by which objects show themselves in a notebook: legible on a light and on a dark ground.

No color is fixed: everything has the color of the page's text, faint or not. Every function escapes what it
is given, except where it says HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape

SHADES = (0.12, 0.30)
"""Strengths of the grounds of neighboring pieces of a text."""


def html_card(title: str, facts: Mapping[str, str], below: str = "") -> str:
    """Return a title over names and values. below: HTML to follow.

    >>> html_card("run <1>", {"loss": "1.5"}).count("&lt;1&gt;")
    1
    """
    cell = '<td style="text-align: left; vertical-align: top; padding-right: 1em{}">{}</td>'
    rows = "".join(
        f"<tr>{cell.format('; opacity: 0.65', escape(name))}{cell.format('', escape(value))}</tr>"
        for name, value in facts.items()
    )
    return f"<div><b>{escape(title)}</b>{f'<table>{rows}</table>' if rows else ''}{below}</div>"


def titled_lines(title: str, lines: Iterable[str]) -> str:
    """Return a title over indented lines.

    >>> titled_lines("loss <1>", ["1.5"]).count("&lt;1&gt;")
    1
    """
    below = "".join(f"<div>{with_code(line)}</div>" for line in lines)
    indented = f'<div style="margin-left: 1.4em">{below}</div>'
    return f'<div style="margin: 0.6em 0"><b>{escape(title)}</b>{indented}</div>'


def paragraph(text: str, faint: bool = False) -> str:
    """Return a paragraph; what stands between backticks is code.

    >>> paragraph("a < b")
    '<p>a &lt; b</p>'
    """
    style = ' style="opacity: 0.65"' if faint else ""
    return f"<p{style}>{with_code(text)}</p>"


def with_code(text: str) -> str:
    """Return a text in which what stands between backticks is code.

    >>> with_code("try `--lr 0.01`")
    'try <code>--lr 0.01</code>'
    """
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def folded(title: str, inside: str) -> str:
    """Return HTML that a click unfolds."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def pieces(texts: Iterable[str]) -> str:
    """Return the pieces of a text, told apart by their grounds; spaces and line ends stay."""
    spans = (
        f'<span style="background: rgba(128, 128, 128, {SHADES[i % 2]})">{escape(text)}</span>'
        for i, text in enumerate(texts)
    )
    return f'<code style="white-space: pre-wrap">{"".join(spans)}</code>'


def continued(prompt: str, text: str) -> str:
    """Return a prompt and the text that continues it, told apart: the prompt is faint.

    >>> continued("To ", "be").count("opacity: 0.65")
    1
    """
    begin = f'<span style="opacity: 0.65">{escape(prompt)}</span>'
    return f'<div style="white-space: pre-wrap">{begin}<b style="font-weight: 500">{escape(text)}</b></div>'


def underlined(text: str, marks: Iterable[tuple[int, int, str]]) -> str:
    """Return a text with passages underlined. marks: start, stop and title of each, in order.

    Where two overlap, the second begins at the end of the first.

    >>> underlined("to be", [(3, 5, "line 1")]).count('<u title="line 1">be</u>')
    1
    """
    parts, at = list[str](), 0
    for start, stop, title in marks:
        start = max(at, start)
        if stop > start:
            parts += [escape(text[at:start]), f'<u title="{escape(title)}">{escape(text[start:stop])}</u>']
            at = stop
    return f'<div style="white-space: pre-wrap">{"".join(parts)}{escape(text[at:])}</div>'
