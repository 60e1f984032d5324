"""Archives, books, pages and images that would fill the RAM, the disk or the day are refused at once."""

import gzip
import io
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glassgpt.config import DataConfig
from glassgpt.data.corpus.corpus import read_corpus
from glassgpt.data.examples.table import read_rows
from glassgpt.data.files.html import declared_encoding, html_text
from glassgpt.data.files.readers import open_document
from glassgpt.errors import UserError


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


def read(path: Path) -> str:
    corpus = read_corpus(DataConfig(sources=(str(path),), split="end"))
    return corpus.train.read() + corpus.val.read()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_bzip2_and_lzma_members_are_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("a.txt", "text " * 400)
    with pytest.raises(UserError, match=r"compressed with .*; only deflate is supported"):
        read(tmp_path / "a.zip")


def test_overlapping_members_count_once(tmp_path: Path) -> None:
    """Many names for one member: the declared sizes are those of many."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "x" * 100_000)
        info = archive.infolist()[0]
        for number in range(500):
            other = zipfile.ZipInfo(f"{number:04}.txt")
            for field in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(other, field, getattr(info, field))
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
    with within(1), pytest.raises(UserError, match="expand to more than"):
        read(tmp_path / "a.zip")


def epub_of(n_times: int, page: str) -> bytes:
    out = io.BytesIO()
    spine = '<itemref idref="a"/>' * n_times
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("META-INF/container.xml", '<c><rootfile full-path="b.opf"/></c>')
        manifest = '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
        book.writestr("b.opf", f"<package>{manifest}<spine>{spine}</spine></package>")
        book.writestr("a.xhtml", page)
    return out.getvalue()


@pytest.mark.parametrize("page", ["<p>" + "words of a page " * 20_000, "<script>" + "x" * 300_000])
def test_an_epub_that_names_one_page_many_times_is_refused(tmp_path: Path, page: str) -> None:
    (tmp_path / "a.epub").write_bytes(epub_of(20_000, page))
    with within(2), pytest.raises(UserError, match=r"a\.epub: its .* bytes expand to more than"):
        read(tmp_path / "a.epub")


def test_books_in_a_zip_share_its_budget(tmp_path: Path) -> None:
    page = "<p>" + "words of a page " * 5_000
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(30):
            archive.writestr(f"{number:02}.epub", epub_of(20, page))
    with within(3):
        corpus = read_corpus(DataConfig(sources=(str(tmp_path / "a.zip"),)))
    assert 0 < len(corpus.documents) < 30
    assert any("skipped: " in note and "expand to more than" in note for note in corpus.notes)


@pytest.mark.parametrize("name", ["a.txt.gz", "a.csv.gz", "a.jsonl.gz"])
def test_a_gzip_bomb_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"text\n" + b'"a"\n' * 20_000_000, 9))
    with within(2), pytest.raises(UserError, match=r"gz: its .* bytes expand to more than"):
        read(tmp_path / name)
    if "csv" in name:
        with within(2), pytest.raises(UserError, match="expand to more than"):
            list(read_rows(tmp_path / name))


def test_gzipped_text_is_read_like_text(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(500))
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "b.JSONL.GZ").write_bytes(gzip.compress(b'{"text": "a row"}\n'))
    (tmp_path / "c.html.gz").write_bytes(gzip.compress(b"<p>a page"))
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("d.txt.gz", gzip.compress(b"a member"))
    assert read(tmp_path) == text + "\na row\n\na page\n\na member"
    with pytest.raises(UserError, match=r"a gzipped \.docx file\. Unpack it first"):
        (tmp_path / "e.docx.gz").write_bytes(gzip.compress(b"PK"))
        read(tmp_path / "e.docx.gz")


@pytest.mark.parametrize("data", [b"not gzip at all", gzip.compress(b"text " * 999, mtime=0)[:-20]])
def test_a_damaged_gzip_file_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt.gz").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.txt\.gz: the file is damaged"):
        read(tmp_path / "a.txt.gz")


HOSTILE = {  # 1 to 2 MB each
    "comments": "<!--" * 400_000,
    "tags": "<a " * 500_000,
    "cdata": "<![CDATA[" * 150_000,
    "ends": "</" * 800_000,
    "instructions": "<?" * 800_000,
    "attributes": '<a b="' * 250_000,
    "declarations": "<!" * 800_000,
    "elements": "<div>" * 300_000,
    "items": "<li>" * 400_000,
    "lines": "<br>" * 400_000,
    "formatting": "<a><b>" * 250_000,
    "forms": "<b><form>" * 160_000,
    "names": "<a " + " ".join(f"a{i}=1" for i in range(150_000)) + ">",
    "spaces": "<p>" + " \t" * 800_000,
    "zeros": "\0" * 1_500_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_html_takes_linear_time(kind: str) -> None:
    with within(4):
        html_text(HOSTILE[kind])


@pytest.mark.parametrize("end", ["</i>", "</p>", "</xyz>"])
def test_html_with_end_tags_in_many_open_elements_is_refused(end: str) -> None:
    with within(3), pytest.raises(UserError, match=r"has 147,\d+ open elements"):
        html_text("<b>" * 150_000 + end * 150_000)


def test_html_keeps_what_stands_after_and_inside_of_anything_odd() -> None:
    for page in (
        "<a " * 9 + ">",
        "<div>" * 3_000,
        "</" * 9 + ">",
        "<!" * 9 + ">",
        "<![CDATA[ x ]]>",
        "<b a=1 a=2>",
    ):
        assert html_text(page + "<p>end").endswith("end"), page
    assert html_text("") == html_text("<html>") == html_text("<!-- only -->") == ""
    assert html_text("plain &amp; simple") == "plain & simple"
    assert html_text("<p>日本\0語 😀 &#x1F600; &eacute;") == "日本\ufffd語 😀 😀 é"
    assert html_text("<a id='x'/><p>one</p><script src='x'/><title/><p>two") == "one\n\ntwo"  # as in XHTML


@pytest.mark.parametrize("head", [b"<meta " * 10_900, b"<meta charset " * 4_600, b"<?xml " * 10_900])
def test_a_declared_encoding_is_found_in_linear_time(head: bytes) -> None:
    with within(1):
        assert declared_encoding(io.BytesIO(head)) is None


def pdf_of(n_pages: int, content: bytes) -> bytes:
    """A PDF all of whose pages share one content."""
    content = zlib.compress(content)
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 3 0 R >>"
    kids = b" ".join(b"%d 0 R" % (4 + number) for number in range(n_pages))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, n_pages),
        b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        *[page] * n_pages,
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    tail = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1) + rows + tail


def test_a_pdf_whose_pages_share_one_content_is_refused() -> None:
    stream = io.BytesIO(pdf_of(6, b" " * 1_000_000))
    with pytest.raises(UserError, match="expand to more than"):
        for _ in open_document(stream, "a.pdf", DataConfig()).pieces:
            pass


@pytest.mark.parametrize("piece", ["[],", '{"":0},', "0,", "[[],"])
def test_json_of_very_many_parts_is_refused(piece: str) -> None:
    data = ("[" + piece * (6_000_000 // max(1, piece.count("[") + piece.count(","))))[:-1] + "]"
    with within(3), pytest.raises(UserError, match=r"a\.json:1: this JSON has more than 4,000,000 parts"):
        for _ in open_document(io.BytesIO(data.encode()), "a.json", DataConfig()).pieces:
            pass
