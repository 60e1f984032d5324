"""Books in epub: a zip archive of HTML pages, see html.py."""

from __future__ import annotations

import io
import posixpath
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import unquote
from zipfile import ZipFile

from glassgpt.data.files.archives import open_zip, read_member
from glassgpt.data.files.budget import UnpackBudget
from glassgpt.data.files.charset import detect_and_decode
from glassgpt.data.files.html import MAX_PAGE, declared_encoding, html_text
from glassgpt.data.files.report import Report
from glassgpt.data.files.unreadable import NotText

MAX_XML = 2 << 20


def read_epub(stream: BinaryIO, name: str, budget: UnpackBudget, report: Report) -> Iterator[str]:
    """Yield the text of a book's pages in reading order; pages without text are counted.

    Raises NotText if there is none, for a malformed book, and for one over the budget.
    Source: EPUB 3.3, container.xml → package document → spine.
    """
    with open_zip(stream, name, budget) as book:
        container = _xml(book, "META-INF/container.xml", name, budget)
        root = next((e.get("full-path", "") for e in container.iter() if _tag(e) == "rootfile"), "")
        package = _xml(book, root, name, budget)
        items = {e.get("id"): e for e in package.iter() if _tag(e) == "item"}
        spine = [
            items[e.get("idref")] for e in package.iter() if _tag(e) == "itemref" and e.get("idref") in items
        ]
        seen_any = False
        for item in spine:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(root), unquote(item.get("href", ""))))
            if "html" in item.get("media-type", "html") and path in book.NameToInfo:
                text = _page(book, path, name, budget)
            else:
                text = ""
            if text:
                yield ("\n\n" if seen_any else "") + text
                seen_any = True
            else:
                report.skip_empty(f"{name}/{path}")
        if not seen_any:
            raise NotText(
                "{name}: no page has text; it is a book of pictures, or locked. Convert it to text first.",
                name=name,
            )


def _page(book: ZipFile, path: str, name: str, budget: UnpackBudget) -> str:
    page = io.BytesIO(read_member(book, path, name, budget, MAX_PAGE))
    decoded = detect_and_decode(page, f"{name}/{path}", declared=declared_encoding(page))
    return html_text("".join(decoded.pieces))


def _xml(book: ZipFile, path: str, name: str, budget: UnpackBudget) -> ET.Element:
    """Parse a small XML file. ElementTree loads no external entities; expat limits their expansion."""
    try:
        return ET.fromstring(read_member(book, path, name, budget, MAX_XML))
    except (KeyError, ET.ParseError) as error:
        raise NotText(
            "{name}: this is not a valid epub ({error}). Convert it to plain text.", name=name, error=error
        ) from error


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
