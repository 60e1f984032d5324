"""Visible text of an HTML page, with paragraphs, without layout and links. Nothing is downloaded.

lxml reads the page as a stream of tags, in linear time but for one case, which has a budget.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from glassgpt.data.files.charset import SAMPLE
from glassgpt.errors import UserError
from glassgpt.language import N_

MAX_PAGE = 50 << 20
"""Limit of one HTML page in characters; its text is assembled in RAM."""
MAX_SEARCHES = 10**8
"""Limit of the open elements that end tags are compared with: about a second."""
SLICE = 1 << 14
"""Characters parsed between two looks at the budget."""
UNSEEN = frozenset("script style template noscript title svg math iframe select textarea".split())
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
BLOCKS = frozenset(
    """address article aside blockquote body caption center details dialog div dl fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr main nav ol p pre section summary table ul""".split()
)
NOT_DISPLAYED = re.compile(r"display\s*:\s*none", re.I)
META_CHARSET = re.compile(rb"""<(?:meta[^<>]+charset|\?xml[^<>]+encoding)\s*=\s*["']?([\w-]+)""", re.I)
# Unicode noncharacters, reserved for internal use: they occur in no page.
PARAGRAPH, ITEM, LINE, SPACE = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
BORDERS = (
    dict.fromkeys(BLOCKS, PARAGRAPH) | dict.fromkeys(["li", "tr", "dt", "dd"], ITEM) | {"td": " ", "th": " "}
)


class _VisibleText:
    """Collects the visible text of a page, with marks at the borders of blocks: a target for lxml."""

    def __init__(self) -> None:
        self.depth = 0
        """Open elements, of any name."""
        self._parts: list[str] = []
        self._hidden_tag = ""  # the outermost hidden element, if any
        self._inside = 0  # open elements with that tag, itself included
        self._pre = 0  # open <pre> elements

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Open an element: a hidden one, or one with a border."""
        self.depth += 1
        if self._hidden_tag:
            self._inside += tag == self._hidden_tag
        elif tag not in VOID and (tag in UNSEEN or _is_hidden(attributes)):
            self._hidden_tag, self._inside = tag, 1
        else:
            self._pre += tag == "pre"
            self._parts.append(LINE if tag == "br" else BORDERS.get(tag, ""))

    def end(self, tag: str) -> None:
        """Close an element."""
        self.depth -= 1
        if self._hidden_tag:
            self._inside -= tag == self._hidden_tag
            if self._inside == 0:
                self._hidden_tag = ""
        else:
            self._pre -= tag == "pre"
            self._parts.append(BORDERS.get(tag, ""))

    def data(self, data: str) -> None:
        """Add visible text. White space counts inside <pre>."""
        if self._hidden_tag:
            return
        if self._pre:
            data = data.replace("\n", LINE).replace(" ", SPACE).replace("\t", SPACE * 4)
        self._parts.append(data)

    def close(self) -> str:
        """Return the text with its marks."""
        return "".join(self._parts)


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    return "hidden" in attributes or bool(NOT_DISPLAYED.search(attributes.get("style", "")))


def html_text(markup: str) -> str:
    """Return the visible text of a page, with a blank line between paragraphs.

    >>> html_text("<title>no</title><p>One &amp;\\n two<br>three<script>no</script><ul><li>a<li>b</ul>")
    'One & two\\nthree\\n\\na\\nb'
    """
    return next(read_html(iter([markup]), N_("the page")))


def read_html(pieces: Iterator[str], name: str) -> Iterator[str]:
    """Yield the visible text of a page from chunks.

    Raises UserError over MAX_PAGE characters, and where many end tags stand in many open elements.
    """
    from lxml.etree import HTMLParser  # here: only pages need it

    page = _VisibleText()
    parser = HTMLParser(target=page, huge_tree=True)  # huge_tree: without it, deep elements are dropped
    parser.feed("<html>")  # an empty page is no error
    n_chars = n_searches = 0
    for part in (piece[at : at + SLICE] for piece in pieces for at in range(0, len(piece), SLICE)):
        n_chars += len(part)
        n_searches += page.depth * part.count("</")  # an end tag without a start is compared with all
        if n_chars > MAX_PAGE:
            raise UserError(
                "{name}: the page has more than {max_page:,} characters. Split it, or save it as plain text.",
                name=name,
                max_page=MAX_PAGE,
            )
        if n_searches > MAX_SEARCHES:
            raise UserError(
                "{name}: the page has {depth:,} open elements. Save it as plain text.",
                name=name,
                depth=page.depth,
            )
        parser.feed(part)
    yield _lay_out(parser.close())


def _lay_out(marked: str) -> str:
    """Collapse white space, then adjacent border marks into one newline (items) or two (paragraphs)."""
    text = re.sub(r"[ \t\n\r\f]+", " ", marked)
    text = re.sub(f" ?([{PARAGRAPH}{ITEM}{LINE}]) ?", r"\1", text)
    text = re.sub(f"[{PARAGRAPH}{ITEM}{LINE}]+", _newlines, text)
    return text.replace(SPACE, " ").strip("\n ")


def _newlines(marks: re.Match[str]) -> str:
    if PARAGRAPH in marks[0]:
        return "\n\n"
    return re.sub(f"{ITEM}+", "\n", marks[0]).replace(LINE, "\n")


def declared_encoding(stream: BinaryIO) -> str | None:
    """Return the encoding in a page's `meta` tag or xml declaration, if Python knows it."""
    stream.seek(0)
    declared = META_CHARSET.search(stream.read(SAMPLE))
    try:
        return codecs.lookup(declared[1].decode()).name if declared else None
    except LookupError:
        return None
