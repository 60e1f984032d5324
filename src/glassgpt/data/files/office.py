"""Text of .docx and .odt: a zip archive with one XML file, whose paragraphs become lines."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from glassgpt.data.files.archives import open_zip, read_member
from glassgpt.data.files.budget import UnpackBudget
from glassgpt.data.files.html import MAX_PAGE
from glassgpt.data.files.unreadable import NotText
from glassgpt.language import N_

MAX_SPACES = 80
"""Limit of the spaces that one element of an .odt stands for."""


@dataclass(frozen=True)
class Format:
    """The part of a document with its text, and the meaning of elements by their local names."""

    part: str
    texts: frozenset[str]
    """Elements with visible characters."""
    hidden: frozenset[str]
    """Elements that are not shown, or shown elsewhere: deleted text, second versions, notes."""
    cell: str
    breaks: dict[str, str]
    """Characters that an element stands for, at its end."""


DOCX = Format(
    part="word/document.xml",
    texts=frozenset({"t"}),
    hidden=frozenset({"Fallback", "moveFrom"}),
    cell="tc",
    breaks={"p": "\n", "br": "\n", "cr": "\n", "tab": "\t", "noBreakHyphen": "-", "tc": "\t", "tr": "\n"},
)
ODT = Format(
    part="content.xml",
    texts=frozenset({"p", "h", "span", "a"}),
    hidden=frozenset({"annotation", "note", "tracked-changes"}),
    cell="table-cell",
    breaks={"p": "\n", "h": "\n", "line-break": "\n", "tab": "\t", "table-cell": "\t", "table-row": "\n"},
)


def read_docx(stream: BinaryIO, name: str, budget: UnpackBudget) -> Iterator[str]:
    """Yield the text of a Word document. Raises NotText if it has none, or is damaged."""
    yield _read(stream, name, budget, DOCX)


def read_odt(stream: BinaryIO, name: str, budget: UnpackBudget) -> Iterator[str]:
    """Yield the text of an OpenDocument text. Raises NotText if it has none, or is damaged."""
    yield _read(stream, name, budget, ODT)


def _read(stream: BinaryIO, name: str, budget: UnpackBudget, form: Format) -> str:
    with open_zip(stream, name, budget) as archive:
        if form.part not in archive.NameToInfo:
            raise NotText(
                "{name}: the archive has no {part}. Save it again, or as plain text.",
                name=name,
                part=form.part,
            )
        data = read_member(archive, form.part, name, budget, MAX_PAGE)
    try:
        text = cast(str, ET.XML(data, ET.XMLParser(target=_Text(form))))
    except (ET.ParseError, LookupError) as error:
        raise NotText(
            "{name}: {part} is damaged ({error}). Save it again.", name=name, part=form.part, error=error
        ) from error
    return "\n".join(line.rstrip(" \t") for line in text.split("\n")).strip("\n ")


class _Text:
    """Collects the text of a document as an XML parser meets it. No tree is built."""

    def __init__(self, form: Format) -> None:
        self._form, self._parts = form, list[str]()
        self._n_texts = self._n_hidden = self._n_cells = 0  # open elements of each kind

    def doctype(self, *_: object) -> None:
        """Refuse a document type: these formats have none, and its entities could expand."""
        raise ET.ParseError(N_("it declares a document type"))

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Open an element."""
        tag = _local(tag)
        self._count(tag, 1)
        if tag == "s" and self._form is ODT:
            count = next((value for key, value in attributes.items() if _local(key) == "c"), "1")
            self._write(" " * min(int(count), MAX_SPACES))

    def end(self, tag: str) -> None:
        """Close an element, with the characters that it stands for."""
        tag = _local(tag)
        ending = self._form.breaks.get(tag, "")
        self._write(" " if ending == "\n" and self._n_cells else ending)
        self._count(tag, -1)

    def data(self, data: str) -> None:
        """Add visible characters."""
        if self._n_texts:
            self._write(re.sub(r"\n[ \t\n]*", " ", data))

    def close(self) -> str:
        """Return the text."""
        return "".join(self._parts)

    def _write(self, text: str) -> None:
        if not self._n_hidden:
            self._parts.append(text)

    def _count(self, tag: str, step: int) -> None:
        self._n_texts += step * (tag in self._form.texts)
        self._n_hidden += step * (tag in self._form.hidden)
        self._n_cells += step * (tag == self._form.cell)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
