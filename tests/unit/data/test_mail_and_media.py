"""Mails, subtitles, parquet and tar files give their text, and count what they leave out."""

from __future__ import annotations

import io
import random
import tarfile
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path

import pytest

from glassgpt.config import DataConfig
from glassgpt.data import read_corpus
from glassgpt.data.files.readers import open_document
from glassgpt.data.files.report import Report
from glassgpt.data.files.sources import resolve_sources, unpack
from glassgpt.data.files.unreadable import NotText
from glassgpt.errors import UserError

SRT = """1
00:00:01,000 --> 00:00:02,000
<i>Good</i> morning.

2
00:00:03,000 --> 00:00:04,000
- 早上好！
- Où ?
"""
VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\nGood morning.\n"
LINE = "Many words stand in a file, and each of them is a word.\n"


def text_of(name: str, data: bytes | str, report: Report | None = None) -> str:
    stream = io.BytesIO(data if isinstance(data, bytes) else data.encode())
    return "".join(open_document(stream, name, DataConfig(), report).pieces)


def mail(text: str, subject: str = "", html: bool = False, attachment: bytes = b"") -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "a@example.org", "b@example.org"
    if subject:
        message["Subject"] = subject
    message.set_content(text, subtype="html" if html else "plain")
    if attachment:
        message.add_attachment(attachment, maintype="image", subtype="png", filename="x.png")
    return message.as_bytes()


def test_subtitles() -> None:
    assert text_of("a.srt", SRT) == "Good morning.\n- 早上好！\n- Où ?\n"
    assert text_of("a.vtt", VTT) == "Good morning.\n"


@pytest.mark.parametrize("content", ["no times in here", "1\n00:00:01,000 --> 00:00:02,000\n\n"])
def test_a_file_without_subtitles(content: str) -> None:
    with pytest.raises(NotText, match=r"a\.srt"):
        text_of("a.srt", content)


def test_one_mail() -> None:
    assert text_of("a.eml", mail("Grüße, 你好!\n", "Tee")) == "Tee\n\nGrüße, 你好!"
    assert text_of("a.eml", mail("Words.", attachment=b"\x89PNG" * 99)) == "Words."
    assert text_of("a.eml", mail("<p>One<p>two <b>three</b>", html=True)) == "One\n\ntwo three"
    assert text_of("a.eml", b"Content-Type: text/plain; charset=none-such\n\nStill read.\n") == "Still read."


def test_replies_are_the_text_of_others() -> None:
    assert text_of("a.eml", mail("Yes.\n\nOn Monday, Ann wrote:\n> At five?\n> Or six?\n")) == "Yes."
    assert text_of("a.eml", mail("> At five?\nNo.\n> Six?\nYes.\n")) == "No.\nYes."


def test_a_mailbox_is_rows_and_counts_the_mails_without_text() -> None:
    mails = [mail(f"Mail {i}.\n\n>From here on it is text.\n\nFrom that, too.") for i in range(3)] + [
        mail("> quoted only\n")
    ]
    box = b"".join(b"From a@example.org Mon Jan  1 00:00:00 2024\n" + each + b"\n" for each in mails)
    report = Report()
    document = open_document(io.BytesIO(box), "a.mbox", DataConfig(), report)
    pieces = list(document.pieces)
    assert document.rows and len(pieces) == 3 and report.n_skipped == 1
    assert "".join(pieces).startswith("Mail 0.\n\nFrom here on it is text.\n\nFrom that, too.\n\nMail 1.")


@pytest.mark.parametrize(("name", "data"), [("a.mbox", b"no mailbox"), ("a.eml", b""), ("a.mbox", b"")])
def test_no_mail(name: str, data: bytes) -> None:
    with pytest.raises(NotText):
        text_of(name, data)


def test_any_bytes_are_a_mail_or_an_error() -> None:
    draw, whole, n_read = random.Random(0), mail("Grüße\n" * 9, "Tee", attachment=b"\x89PNG" * 9), 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 20)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        with suppress(UserError):
            n_read += bool(text_of("a.eml", bytes(data)))
    assert n_read > 100


def parquet(path: Path, rows: dict[str, list[object]]) -> Path:
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    pq.write_table(pyarrow.table(rows), path)
    return path


def test_parquet_is_a_table_like_any_other(tmp_path: Path) -> None:
    rows: dict[str, list[object]] = {"text": [LINE * 3] * 20, "picture": [b"\x00"] * 20, "n": list(range(20))}
    file = parquet(tmp_path / "rows.parquet", rows)
    corpus = read_corpus(DataConfig(sources=(str(file),), split="end"))
    assert (corpus.train.read() + corpus.val.read()).count("Many words") == 60


def test_a_damaged_parquet_is_named(tmp_path: Path) -> None:
    file = parquet(tmp_path / "rows.parquet", {"text": [LINE]})
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(NotText, match=r"rows\.parquet: this is not a readable parquet table"):
        read_corpus(DataConfig(sources=(str(file),)))


def tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # pyright: ignore[reportArgumentType, reportCallIssue]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("A.TGZ", "w:gz")])
def test_tar_files_are_folders(tmp_path: Path, name: str, mode: str) -> None:
    files = {"b/two.txt": LINE.encode() * 30, "./a/one.md": LINE.encode() * 30, ".hidden.txt": b"no\n"}
    path = tar(tmp_path / name, files, mode)
    [source] = resolve_sources([str(path)])
    names = [each.name.removeprefix(f"{path}/").removeprefix("./") for each in unpack(source)]
    assert sorted(names) == ["a/one.md", "b/two.txt"]
    assert read_corpus(DataConfig(sources=(str(path),), split="end")).train.n_chars > 2_000


def test_damaged_tar_files_and_bombs(tmp_path: Path) -> None:
    path = tar(tmp_path / "bomb.tar.gz", {"zeros.txt": bytes(300 << 20)}, "w:gz")
    with pytest.raises(NotText, match="expand to more than"):
        read_corpus(DataConfig(sources=(str(path),)))
    (tmp_path / "bad.tar").write_bytes(b"not a tar file" * 99)
    with pytest.raises(NotText, match="not a readable tar file"):
        read_corpus(DataConfig(sources=(str(tmp_path / "bad.tar"),)))


def test_files_that_programs_make_are_skipped_in_a_folder_and_read_if_named(tmp_path: Path) -> None:
    for name in ("package-lock.json", "uv.lock", "app.min.js", "main.py"):
        (tmp_path / name).write_text(LINE * 30, "utf-8")
    notes = " ".join(read_corpus(DataConfig(sources=(str(tmp_path),), split="end")).notes)
    assert "3 files skipped" in notes and "a program made this file" in notes
    each = read_corpus(DataConfig(sources=(str(tmp_path),), split="end", list_skipped=True)).notes
    assert sum(note.startswith("skipped: ") for note in each) == 3
    assert read_corpus(DataConfig(sources=(str(tmp_path / "uv.lock"),), split="end")).train.n_chars
