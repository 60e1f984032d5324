"""Visible text of an HTML page, with paragraphs, without layout and links. Nothing is downloaded."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import BinaryIO

from glassgpt.data.files.charset import SAMPLE
from glassgpt.errors import UserError

MAX_PAGE = 50 << 20
"""Limit of one HTML page in characters; its text is assembled in RAM."""
UNSEEN = frozenset("script style template noscript title svg math iframe select textarea".split())
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
BLOCKS = frozenset(
    """address article aside blockquote body caption center details dialog div dl fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr main nav ol p pre section summary table ul""".split()
)
NOT_DISPLAYED = re.compile(r"display\s*:\s*none", re.I)
META_CHARSET = re.compile(rb"""<(?:meta[^>]+charset|\?xml[^>]+encoding)\s*=\s*["']?([\w-]+)""", re.I)
# Unicode noncharacters, reserved for internal use: they occur in no page.
PARAGRAPH, ITEM, LINE, SPACE = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
BORDERS = (
    dict.fromkeys(BLOCKS, PARAGRAPH) | dict.fromkeys(["li", "tr", "dt", "dd"], ITEM) | {"td": " ", "th": " "}
)


class _VisibleText(HTMLParser):
    """Collects the visible text of a page, with marks at the borders of blocks.

    A stream of tags is enough. A tree of the page on the same parser (BeautifulSoup) took nine times as long
    on 1 MB, and the RAM of a tree.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden_tag = ""  # the outermost hidden element, if any
        self._depth = 0  # open elements with that tag, itself included
        self._pre = 0  # open <pre> elements

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element: a hidden one, or one with a border."""
        if self._hidden_tag:
            if tag == self._hidden_tag:
                self._depth += 1
        elif tag not in VOID and (tag in UNSEEN or _is_hidden(attrs)):
            self._hidden_tag, self._depth = tag, 1
        else:
            if tag == "pre":
                self._pre += 1
            self.parts.append(LINE if tag == "br" else BORDERS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        """Close an element. Closing tags without an open element are harmless."""
        if self._hidden_tag:
            if tag == self._hidden_tag:
                self._depth -= 1
            if self._depth == 0:
                self._hidden_tag = ""
        else:
            if tag == "pre" and self._pre > 0:
                self._pre -= 1
            self.parts.append(BORDERS.get(tag, ""))

    def handle_data(self, data: str) -> None:
        """Add visible text. White space counts inside <pre>."""
        if self._hidden_tag:
            return
        if self._pre:
            data = data.replace("\n", LINE).replace(" ", SPACE).replace("\t", SPACE * 4)
        self.parts.append(data)


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    return any(
        name == "hidden" or (name == "style" and NOT_DISPLAYED.search(value or "")) for name, value in attrs
    )


def html_text(markup: str) -> str:
    """Return the visible text of a page, with a blank line between paragraphs.

    >>> html_text("<title>no</title><p>One &amp;\\n two<br>three<script>no</script><ul><li>a<li>b</ul>")
    'One & two\\nthree\\n\\na\\nb'
    """
    return next(read_html(iter([markup]), "the page"))


def read_html(pieces: Iterator[str], name: str) -> Iterator[str]:
    """Yield the visible text of a page from chunks. Raises UserError over MAX_PAGE characters."""
    parser, n_chars = _VisibleText(), 0
    for piece in pieces:
        n_chars += len(piece)
        if n_chars > MAX_PAGE:
            raise UserError(
                f"{name}: the page has more than {MAX_PAGE:,} characters. Split it, or save it as plain text."
            )
        parser.feed(piece)
    parser.close()
    yield _lay_out("".join(parser.parts))


def _lay_out(marked: str) -> str:
    """Collapse white space, then adjacent border marks into one newline (items) or two (paragraphs)."""
    text = re.sub(r"[ \t\n\r\f]+", " ", marked)
    text = re.sub(f" ?([{PARAGRAPH}{ITEM}{LINE}]) ?", r"\1", text)
    text = re.sub(f"[{ITEM}{LINE}]*{PARAGRAPH}[{PARAGRAPH}{ITEM}{LINE}]*", "\n\n", text)
    text = re.sub(f"{ITEM}+", "\n", text)
    return text.replace(LINE, "\n").replace(SPACE, " ").strip("\n ")


def declared_encoding(stream: BinaryIO) -> str | None:
    """Return the encoding in a page's `meta` tag or xml declaration, if Python knows it."""
    stream.seek(0)
    declared = META_CHARSET.search(stream.read(SAMPLE))
    try:
        return codecs.lookup(declared[1].decode()).name if declared else None
    except LookupError:
        return None
