"""Each format gives its text, and each way of being unusable its own message."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from glassgpt.config import DataConfig
from glassgpt.data.files.html import html_text
from glassgpt.data.files.readers import open_document
from glassgpt.data.files.unreadable import NotText
from glassgpt.errors import UserError


def text_of(name: str, data: bytes | str, **config: str) -> str:
    stream = io.BytesIO(data if isinstance(data, bytes) else data.encode())
    return "".join(open_document(stream, name, DataConfig.model_validate(config)).pieces)


def pdf_of(*pages: str) -> bytes:
    """A minimal PDF with one line of text a page."""
    kids = " ".join(f"{3 + 2 * i} 0 R" for i in range(len(pages)))
    font = 3 + 2 * len(pages)
    bodies = ["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>"]
    for i, line in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET" if line else ""
        bodies.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {4 + 2 * i} 0 R "
            f"/Resources << /Font << /F1 {font} 0 R >> >> >>"
        )
        bodies.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    bodies.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    out, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    rows = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    tail = f"trailer\n<< /Size {len(bodies) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return f"{out}xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{rows}{tail}".encode("latin-1")


CONTAINER = '<container xmlns="c"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf"><manifest>
<item id="b" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="i" href="cover.png" media-type="image/png"/></manifest>
<spine><itemref idref="i"/><itemref idref="a"/><itemref idref="b"/><itemref idref="gone"/>
</spine></package>"""


def epub_of(container: str = CONTAINER, package: str = PACKAGE) -> bytes:
    page = '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{}</body></html>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr("META-INF/container.xml", container)
        book.writestr("OEBPS/book.opf", package)
        book.writestr("OEBPS/text/two b.xhtml", page.format("<h1>Zwei</h1><p>Ende.</p>"))
        book.writestr("OEBPS/text/one.xhtml", page.format("<h1>Eins</h1><p>Es war <i>einmal</i>.</p>"))
        book.writestr("OEBPS/cover.png", b"\x89PNG")
    return out.getvalue()


def test_html_keeps_what_is_seen_and_its_paragraphs() -> None:
    page = """<!DOCTYPE html><html><head><title>T</title><style>p{}</style>
    <script>alert("no")</script></head><body>
    <!-- no --><h1>Head</h1><p>One
    line &lt;here&gt;.<br/>Next.</p><div hidden><div>no</div>no</div><p style="display: none">no</p>
    <ul><li>a</li><li>b</li></ul><table><tr><td>x</td><td>y</td></tr><tr><td>z</td></tr></table>
    <pre>def f():
    return 1</pre><p>中文　段落</p></body></html>"""
    assert html_text(page) == (
        "Head\n\nOne line <here>.\nNext.\n\na\nb\n\nx y\nz\n\ndef f():\n    return 1\n\n中文　段落"
    )


@pytest.mark.parametrize(
    "page",
    [
        "<p>a<p>b",
        "<head><meta charset=utf-8><title>t</title><body><p>a</p>b",
        "<div><div>a</div></div><br><br>b",
    ],
)
def test_html_that_is_not_closed_still_gives_its_paragraphs(page: str) -> None:
    assert html_text(page).split() == ["a", "b"]
    assert "\n\n" in html_text(page)


def test_deeply_nested_html_is_read() -> None:
    assert html_text("<div>" * 10_000 + "deep" + "</div>" * 10_000) == "deep"


def test_html_in_a_declared_encoding() -> None:
    body = "<p>这是一个网页，里面是中文。</p>"
    page = f'<meta http-equiv="Content-Type" content="text/html; charset=gb2312">{body}'
    assert text_of("p.html", page.encode("gb18030")) == "这是一个网页，里面是中文。"
    lying = f'<meta charset="iso-8859-1">{body}'
    assert text_of("p.htm", lying.encode("utf-8")) == "这是一个网页，里面是中文。"
    polish = '<meta charset="iso-8859-2"><p>Zażółć gęślą jaźń</p>'
    assert text_of("p.html", polish.encode("iso-8859-2")) == "Zażółć gęślą jaźń"


def test_epub_is_read_in_the_order_of_its_spine() -> None:
    assert text_of("b.epub", epub_of()) == "Eins\n\nEs war einmal.\n\nZwei\n\nEnde."


@pytest.mark.parametrize(
    ("book", "says"),
    [
        (epub_of(container="<container/>"), "not a valid epub"),
        (epub_of(package="<package>"), "not a valid epub"),
        (epub_of(package="<package/>"), "no page has text"),
        (b"PK\x03\x04 cut off", "not a readable zip"),
        (
            epub_of(
                package='<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa">'
                + "".join(f'<!ENTITY a{i} "{f"&a{i - 1 if i else str()};" * 10}">' for i in range(9))
                + "]><package>&a8;</package>"
            ),
            "not a valid epub",
        ),
        (
            epub_of(package='<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><package>&x;</package>'),
            "epub",
        ),
    ],
    ids=["container", "package", "spine", "zip", "exploding entities", "external entity"],
)
def test_a_broken_epub_is_refused(book: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says):
        text_of("b.epub", book)


def test_pdf_pages_are_joined_by_a_blank_line() -> None:
    assert text_of("a.pdf", pdf_of("First page.", "", "Third page.")) == "First page.\n\nThird page."


def test_a_pdf_without_text_names_scan_and_ocr() -> None:
    with pytest.raises(NotText, match=r"scan\.pdf: it has no text.*scan.*OCR"):
        text_of("scan.pdf", pdf_of("", ""))


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4 and no more", b"not a pdf at all", pdf_of("x")[:120]])
def test_a_broken_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(NotText, match=r"b\.pdf"):
        text_of("b.pdf", data)


def test_a_locked_pdf_is_refused() -> None:
    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_of("secret")))
    writer.encrypt("word", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(NotText, match="a password protects it"):
        text_of("l.pdf", out.getvalue())


def test_jsonl_text_messages_and_a_named_field() -> None:
    rows = [{"text": "one\r\ntwo"}, {"text": ""}, {"text": "sep\u2028inside \ud83d half", "id": 1}]
    assert text_of("a.jsonl", "\n\n".join(map(json.dumps, rows)) + "\n").startswith(
        "one\r\ntwo\n\nsep\u2028inside"
    )
    chat = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}]}
    assert text_of("a.jsonl", json.dumps(chat)) == "user: Hi\nassistant: "
    assert text_of("a.jsonl", '{"body": "x", "text": "y"}', column="body") == "x"
    assert text_of("a.json", json.dumps([{"text": "p"}, "q", chat])) == "p\n\nq\n\nuser: Hi\nassistant: "


@pytest.mark.parametrize(
    ("name", "data", "column", "says"),
    [
        ("a.jsonl", '{"text": "x"}\n{"text": ', None, r"a\.jsonl:2: this is not JSON"),
        ("a.jsonl", '{"body": "x", "id": 3}', None, r"a\.jsonl:1: no field 'text' or 'messages'.*body, id"),
        ("a.jsonl", '{"body": "x"}', "txt", r"no field 'txt'.*`column` to one of: body"),
        ("a.jsonl", "[1, 2]", None, r"expected an object, got int"),
        ("a.jsonl", '{"text": [3]}', None, r"a message has no 'content'"),
        ("a.jsonl", '{"messages": ["hi"]}', None, r"has no 'content'"),
        ("a.jsonl", "[" * 100_000, None, r"a\.jsonl:1: this is not JSON"),
        ("a.csv", "a,b\n1,2\n", None, r"several columns.*`column` to one of: a, b"),
        ("a.csv", "a,b\n1,2\n", "c", r"no column 'c'.*a, b"),
        ("a.csv", "text\nHello, world\n", None, r"a\.csv:2: 2 fields, but the header has 1\. Quote fields"),
        ("a.csv", 'text\n"never closed\n' + "x" * 50, None, r"a\.csv:2: this is not csv"),
        ("a.csv", "id,text\n1,x\n2\n", None, r"a\.csv:3: 1 fields, but the header has 2"),
    ],
)
def test_bad_rows_are_named_with_the_remedy(name: str, data: str, column: str | None, says: str) -> None:
    with pytest.raises(UserError, match=says):
        text_of(name, data, **({"column": column} if column else {}))


def test_csv_columns_delimiters_and_long_fields() -> None:
    assert text_of("a.csv", '\ufeffid,text\n1,"a ""b"",\nc"\n\n3,d\n') == 'a "b",\nc\n\nd'
    assert text_of("a.csv", "id;text\n1;a, b\n") == "a, b"
    assert text_of("a.tsv", "id\ttext\r\n1\ta, b\r\n") == "a, b"
    assert text_of("a.csv", "name\nx\ny\n") == "x\n\ny"
    assert text_of("a.csv", "a,b\n1,2\n", column="b") == "2"
    assert len(text_of("a.csv", "text\n" + "x" * 5_000_000)) == 5_000_000
    assert text_of("mac.csv", "id,text\r1,a\r2,b\r") == "a\n\nb"


def test_an_unknown_ending_is_plain_text(tmp_path: Path) -> None:
    for name in ("a.py", "README", "a.weird", ".hidden"):
        assert text_of(name, "text\r\nas it is\r") == "text\nas it is\n"
