"""Documents of word processors and notebooks give their text, and nothing of their codes."""

import io
import json
import time
import zipfile

import pytest

from glassgpt.config import DataConfig
from glassgpt.data.files.readers import open_document
from glassgpt.data.files.unreadable import NotText

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def text_of(name: str, data: bytes | str) -> str:
    stream = io.BytesIO(data if isinstance(data, bytes) else data.encode())
    return "".join(open_document(stream, name, DataConfig()).pieces)


def zip_of(path: str, data: str, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("mimetype", "x")
        archive.writestr(path, data)
    return out.getvalue()


def docx_of(body: str, before: str = "") -> bytes:
    document = f'{before}<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
    return zip_of("word/document.xml", document)


def odt_of(body: str) -> bytes:
    spaces = 'xmlns:office="o" xmlns:text="t" xmlns:table="b"'
    return zip_of(
        "content.xml", f"<office:document {spaces}><office:body>{body}</office:body></office:document>"
    )


def test_docx() -> None:
    body = """<w:p><w:pPr><w:jc w:val="left"/></w:pPr><w:r><w:t>Dear </w:t></w:r>
    <w:r><w:t>中文 &amp; é</w:t></w:r></w:p>
    <w:p/><w:p><w:r><w:t xml:space="preserve">a  b</w:t><w:tab/><w:t>c</w:t><w:br/><w:t>d</w:t></w:r></w:p>
    <w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>
    <w:r><w:instrText>PAGE</w:instrText><w:t>kept</w:t></w:r></w:p>
    <w:tbl><w:tr><w:tc><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>y</w:t></w:r></w:p></w:tc></w:tr>
    </w:tbl>"""
    assert text_of("a.docx", docx_of(body)) == "Dear 中文 & é\n\na  b\tc\nd\nkept\nx \ty"


def test_odt() -> None:
    body = """<text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:h>Head</text:h>
    <text:p>One<text:s text:c="2"/><text:span>two</text:span><text:s/>é<text:tab/>中<text:line-break/>next
    <text:note><text:note-body><text:p>note</text:p></text:note-body></text:note></text:p>
    <table:table-row><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row>"""
    assert text_of("a.odt", odt_of(body)) == "Head\nOne  two é\t中\nnext\nx"


def test_spaces_take_linear_time() -> None:
    start = time.process_time()
    assert text_of("a.docx", docx_of(f"<w:p><w:t>a{' ' * 500_000}b</w:t></w:p>"))[-1] == "b"
    assert text_of("a.rtf", "{\\rtf1 a" + " " * 1_000_000 + "b}")[-1] == "b"
    assert time.process_time() - start < 2


def test_odt_spaces_have_a_limit() -> None:
    assert len(text_of("a.odt", odt_of('<text:p>a<text:s text:c="1000000000"/>b</text:p>'))) == 82


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.docx", zip_of("other.xml", ""), r"has no word/document\.xml"),
        ("a.odt", docx_of(""), r"has no content\.xml"),
        ("a.docx", zip_of("word/document.xml", "<w:p>"), r"word/document\.xml is damaged"),
        ("a.docx", docx_of("", '<!DOCTYPE d [<!ENTITY a "aaa">]>'), "declares a document type"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 9, "this is an old Word"),
        ("a.docx", b"{\\rtf1 x}", "this is an rtf document"),
        ("a.docx", b"not a zip", "not a readable zip"),
        ("a.docx", zip_of("word/document.xml", "x" * 99, zipfile.ZIP_BZIP2), "compressed with bzip2"),
        ("a.rtf", b"plain", "this is a binary file"),
        ("a.ipynb", "{}", "no cells"),
        ("a.ipynb", "{", "this is not JSON"),
    ],
)
def test_what_is_no_document_is_refused_by_kind(name: str, data: bytes | str, says: str) -> None:
    with pytest.raises(NotText, match=says):
        text_of(name, data)


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (
            r"{\rtf1\ansi{\fonttbl{\f0 Times;}}\f0\pard Hello \b world\b0 .\par Next\tab line\line end.\par}",
            None,
        ),
        (
            r"{\rtf1\ansicpg1252 caf\'e9 \{x\} \\ \~a{\*\generator no;}{\pict 89504e47}}",
            "café {x} \\ \u00a0a",
        ),
        (r"{\rtf1\uc1 \u26085?\u-10179?\u-8704?{\uc2\u233 ab}c{\uc0\u233}d}", "日😀écéd"),
        (r"{\rtf1{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset134 B;}}\f1 \'d6\'d0\'ce\'c4\f0 \'e9}", "中文é"),
        (
            r"{\rtf1{\info{\title no}}{\field{\*\fldinst{HYPERLINK no}}{\fldrslt{yes}}}\lquote q\rquote}",
            "yes‘q’",
        ),
        ("{\\rtf1 one\\\ntwo\r\nthree\\cell four\\row}", "one\ntwothree\tfour"),
        ("{\\rtf1 a\\bin4 }}}}b}", "ab"),
        ("{\\rtf1 unfinished \\'e", "unfinished e"),
        ("{\\rtf1 a}}}}b\\", "ab"),
    ],
)
def test_rtf(rtf: str, text: str | None) -> None:
    expected = "Hello world.\nNext\tline\nend." if text is None else text
    assert text_of("a.rtf", rtf) == expected


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        "}",
        "\\",
        "\\'",
        "\\'e4",
        "\\a",
        "\\u1 ",
        "{\\field{\\*\\fldinst{HYPERLINK ",
        "\\uc100\\u1",
        "\\bin1 ",
        "\\f1 ",
    ],
)
def test_hostile_rtf_takes_linear_time(piece: str) -> None:
    start = time.process_time()
    text_of("a.rtf", "{\\rtf1 " + piece * (500_000 // len(piece)))
    assert time.process_time() - start < 3


def test_a_notebook_gives_its_cells_without_outputs() -> None:
    cells = [
        {
            "cell_type": "markdown",
            "source": ["# Title\n", "text"],
            "attachments": {"a.png": {"image/png": "AAAA"}},
        },
        {"cell_type": "code", "source": "x = 1", "outputs": [{"data": {"image/png": "iVBOR"}}]},
        {"cell_type": "code", "source": []},
        "no cell",
    ]
    assert text_of("a.ipynb", json.dumps({"cells": cells, "nbformat": 4})) == "# Title\ntext\n\nx = 1"
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["y = 2"]}]}]}
    assert text_of("a.ipynb", json.dumps(old)) == "y = 2"
