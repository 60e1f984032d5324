"""The visible text of a page of HTML: paragraphs stay, layout and links are dropped. Fetches nothing."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import BinaryIO

from glassgpt.data.files.charset import SAMPLE
from glassgpt.errors import UserError

MAX_PAGE = 50 << 20
"""Characters of one HTML page, whose text is laid out in memory."""
UNSEEN = frozenset("script style template noscript title svg math iframe select textarea".split())
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
BLOCKS = frozenset(
    """address article aside blockquote body caption center details dialog div dl fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr main nav ol p pre section summary table ul""".split()
)
NOT_DISPLAYED = re.compile(r"display\s*:\s*none", re.I)
META_CHARSET = re.compile(rb"""<(?:meta[^>]+charset|\?xml[^>]+encoding)\s*=\s*["']?([\w-]+)""", re.I)
# Unicode noncharacters, meant for such inner use: no page holds them.
PARAGRAPH, ITEM, LINE, SPACE = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
BORDERS = (
    dict.fromkeys(BLOCKS, PARAGRAPH) | dict.fromkeys(["li", "tr", "dt", "dd"], ITEM) | {"td": " ", "th": " "}
)


class _VisibleText(HTMLParser):
    """Collects what a page shows, with marks where blocks begin and end.

    A stream of tags is enough for this; building a tree of the page on this same parser (BeautifulSoup) took
    nine times as long on 1 MB, and the memory of a tree.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unseen, self._depth, self._pre = "", 0, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unseen:
            self._depth += tag == self._unseen
        elif tag not in VOID and (tag in UNSEEN or _is_hidden(attrs)):
            self._unseen, self._depth = tag, 1
        else:
            self._pre += tag == "pre"
            self.parts.append(LINE if tag == "br" else BORDERS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            self._depth -= tag == self._unseen
            self._unseen = self._unseen if self._depth else ""
        else:
            self._pre -= tag == "pre" and self._pre > 0
            self.parts.append(BORDERS.get(tag, ""))

    def handle_data(self, data: str) -> None:
        if self._pre:
            data = data.replace("\n", LINE).replace(" ", SPACE).replace("\t", SPACE * 4)
        if not self._unseen:
            self.parts.append(data)


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    return any(
        name == "hidden" or (name == "style" and NOT_DISPLAYED.search(value or "")) for name, value in attrs
    )


def html_text(markup: str) -> str:
    """The text that a reader of the page sees, with a blank line between paragraphs.

    >>> html_text("<title>no</title><p>One &amp;\\n two<br>three<script>no</script><ul><li>a<li>b</ul>")
    'One & two\\nthree\\n\\na\\nb'
    """
    return next(read_html(iter([markup]), "the page"))


def read_html(pieces: Iterator[str], name: str) -> Iterator[str]:
    """The same for a page that comes in pieces. Raises UserError over MAX_PAGE characters."""
    parser, n_chars = _VisibleText(), 0
    for piece in pieces:
        n_chars += len(piece)
        if n_chars > MAX_PAGE:
            raise UserError(
                f"{name} is a page of over {MAX_PAGE:,} characters; split it or save it as plain text"
            )
        parser.feed(piece)
    parser.close()
    yield _lay_out("".join(parser.parts))


def _lay_out(marked: str) -> str:
    """Collapse white space, then turn runs of border marks into one newline (items) or two (paragraphs)."""
    text = re.sub(r"[ \t\n\r\f]+", " ", marked)
    text = re.sub(f" ?([{PARAGRAPH}{ITEM}{LINE}]) ?", r"\1", text)
    text = re.sub(f"[{ITEM}{LINE}]*{PARAGRAPH}[{PARAGRAPH}{ITEM}{LINE}]*", "\n\n", text)
    text = re.sub(f"{ITEM}+", "\n", text)
    return text.replace(LINE, "\n").replace(SPACE, " ").strip("\n ")


def declared_encoding(stream: BinaryIO) -> str | None:
    """The encoding that a page names in its `meta` tag or xml declaration, if Python knows it."""
    stream.seek(0)
    declared = META_CHARSET.search(stream.read(SAMPLE))
    try:
        return codecs.lookup(declared[1].decode()).name if declared else None
    except LookupError:
        return None
