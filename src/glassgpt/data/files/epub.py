"""Books in epub: a zip of pages, in reading order. What a page shows is markup.py's business."""

from __future__ import annotations

import io
import posixpath
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import unquote
from zipfile import ZipFile

from glassgpt.data.files.archives import open_zip
from glassgpt.data.files.charset import NotText, decode, detect, scan
from glassgpt.data.files.html import MAX_PAGE, declared_encoding, html_text
from glassgpt.errors import UserError

MAX_XML = 4 << 20


def read_epub(stream: BinaryIO, name: str) -> Iterator[str]:
    """The pages of a book in reading order. Source: EPUB 3.3, container.xml → package document → spine."""
    with open_zip(stream, name) as book:
        container = _xml(book, "META-INF/container.xml", name)
        root = next((e.get("full-path", "") for e in container.iter() if _tag(e) == "rootfile"), "")
        package = _xml(book, root, name)
        items = {e.get("id"): e for e in package.iter() if _tag(e) == "item"}
        spine = [
            items[e.get("idref")] for e in package.iter() if _tag(e) == "itemref" and e.get("idref") in items
        ]
        seen_any = False
        for item in spine:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(root), unquote(item.get("href", ""))))
            if "html" in item.get("media-type", "html") and path in book.NameToInfo:
                text = _page(book, path, name)
                yield ("\n\n" if seen_any else "") + text
                seen_any = seen_any or bool(text)
        if not seen_any:
            raise NotText(
                f"{name} holds no readable pages (a book of pictures, or locked); convert it to text first"
            )


def _page(book: ZipFile, path: str, name: str) -> str:
    if book.getinfo(path).file_size > MAX_PAGE:
        raise UserError(f"{name}/{path} is over {MAX_PAGE:,} bytes; convert the book to plain text")
    page, where = io.BytesIO(book.read(path)), f"{name}/{path}"
    return html_text("".join(decode(page, where, detect(page, where, scan(page), declared_encoding(page)))))


def _xml(book: ZipFile, path: str, name: str) -> ET.Element:
    """A small XML file. ElementTree fetches no external entity, and expat (2.4 on) stops an explosion."""
    try:
        if book.getinfo(path).file_size > MAX_XML:
            raise UserError(f"{name}: {path} is over {MAX_XML:,} bytes; convert the book to plain text")
        return ET.fromstring(book.read(path))
    except (KeyError, ET.ParseError) as error:
        raise UserError(f"{name} is not a well-formed epub ({error}); convert it to plain text") from error


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
