"""One bad file among many is skipped and named; links out of a folder are not followed unasked."""

import os
import zipfile
from pathlib import Path

import pytest

from glassgpt.config import DataConfig
from glassgpt.data.corpus.corpus import Corpus, read_corpus
from glassgpt.data.corpus.skipped import skipped_files
from glassgpt.data.files import readers
from glassgpt.errors import UserError

TEXT = "".join(f"this is line {number} of a text\n" for number in range(60))


def read(*given: Path | str, **config: object) -> Corpus:
    return read_corpus(
        DataConfig.model_validate({"sources": [str(each) for each in given], "split": "end", **config})
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text(TEXT)
    return folder


BAD = {
    "tsconfig.json": (b'{\n  // a comment\n  "a": 1}', "this is not JSON"),
    "cut.txt": (("é" * 5_000).encode()[:-1], r"the bytes at offset 9,998 are not utf-8"),
    "a.csv": (b"text\nHello, world\n", "2 fields, but the header has 1"),
    "a.epub": (b"PK\x03\x04 damaged", "not a readable zip"),
    "a.docx": (b"PK\x03\x04 damaged", "not a readable zip"),
    "a.zip": (b"PK\x03\x04 damaged", "not a readable zip"),
    "a.pdf": (b"%PDF-1.4 damaged", "not a readable pdf"),
    "a.txt.gz": (b"\x1f\x8b damaged", "the file is damaged"),
    "a.html": (b"<b>" * 150_000 + b"</i>" * 150_000, "open elements"),
    "a.ipynb": (b"[]", "no cells"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_in_a_folder_is_skipped_and_alone_is_an_error(folder: Path, name: str) -> None:
    data, says = BAD[name]
    (folder / name).write_bytes(data)
    with pytest.raises(UserError, match=says):
        read(folder / name)
    corpus = read(folder)
    assert corpus.train.read() + corpus.val.read() == TEXT
    (note,) = corpus.notes
    assert note.startswith("1 file skipped: ") and name in note


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), MemoryError(), KeyError("x"), OSError(5, "Input/output error")]
)
def test_any_exception_of_a_reader_skips_its_file_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setitem(readers.BINARY_READERS, ".odt", broken)
    (folder / "b.odt").write_bytes(b"x")
    (note,) = read(folder).notes
    assert "b.odt: the file " in note
    with pytest.raises(UserError, match=r"b\.odt: the file (is damaged|cannot be read) \("):
        read(folder / "b.odt")


def test_a_full_disk_is_no_fault_of_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glassgpt.data.corpus.spool import Spool

    def full(self: Spool, text: str) -> None:
        raise self._refused(OSError(28, "No space left on device"))

    monkeypatch.setattr(Spool, "_write", full)
    with pytest.raises(UserError, match=r"cannot write the text to .*No space left"):
        read(folder)


def test_skipped_files_are_said_by_kind(folder: Path) -> None:
    for number in range(49):
        (folder / f"{number}.dat").write_bytes(bytes(range(256)))
    for number in range(3):
        (folder / f"{number}.json").write_text(f'{{"field {number}": "x"}}')
    (folder / "b.png").write_bytes(b"\x89PNG")
    (note,) = read(folder).notes
    assert note == (
        "53 files skipped: 49 .dat: this is a binary file, not text; 3 .json: no field 'text' or 'messages'; "
        f"{folder / 'b.png'}: this is a PNG image, not text"
    )


def test_rare_kinds_are_counted() -> None:
    problems = [(f"{n}.x{n}", UserError(f"{n}.x{n}: reason {n}. Remedy.")) for n in range(8)]
    (note,) = skipped_files(problems)
    assert note.startswith("8 files skipped: 0.x0: reason 0; ") and note.endswith("; and 3 more")


def test_members_of_an_archive_are_skipped_like_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", TEXT)
        archive.writestr("b.json", "{")
    assert "b.json:1: this is not JSON" in read(tmp_path / "a.zip").notes[0]


def test_a_link_out_of_a_folder_is_not_followed_unasked(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text("do not learn this. " * 9)
    (folder / "key.txt").symlink_to(secret / "key.txt")
    (folder / "keys").symlink_to(secret, target_is_directory=True)
    (folder / "again.txt").symlink_to("a.txt")
    (folder / "circle").symlink_to(folder, target_is_directory=True)
    for given in (folder, folder / "*.txt", folder / "**" / "*.txt"):
        corpus = read(given)
        assert "do not learn" not in corpus.train.read() + corpus.val.read()
        assert any(
            "key.txt: this is a link out of the folder" in note or "2 " in note for note in corpus.notes
        )
    (note,) = read(folder).notes
    assert note.startswith("2 files skipped: ")
    asked = read(folder, follow_links=True)
    assert (
        asked.notes == ()
        and asked.train.read().count("do not learn") + asked.val.read().count("do not learn") == 9
    )
    assert read(folder / "key.txt", folder / "a.txt").documents[0].name.endswith("key.txt")  # named: meant


def test_a_folder_that_is_a_link_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    assert read(tmp_path / "link").notes == ()


def test_a_folder_of_links_only_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.txt").symlink_to(tmp_path / "a.txt")
    with pytest.raises(UserError, match=r"no text found.*\n.*a\.txt: this is a link out of the folder"):
        read(tmp_path / "links")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_inside_is_skipped(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0)
    assert "cannot be listed" in read(folder).notes[0]


def test_invalid_bytes_are_replaced_where_asked(folder: Path) -> None:
    (folder / "b.txt").write_bytes(("é" * 999).encode()[:-1])
    corpus = read(folder, skip_invalid=True)
    assert (corpus.train.read() + corpus.val.read()).endswith("éé\ufffd")
    assert corpus.notes[0].startswith("invalid bytes replaced by U+FFFD: ")


def test_a_table_of_captions_is_no_link_out_of_its_folder(tmp_path: Path) -> None:
    from glassgpt.data.examples.images import read_captioned

    (tmp_path / "secret.csv").write_text("image,caption\n0.png,do not learn this\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "captions.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(UserError, match=r"captions\.csv: this is a link out of the folder"):
        read_captioned(DataConfig(sources=(str(tmp_path / "folder"),)), 8)
    with pytest.raises(UserError, match="0 usable rows"):
        read_captioned(
            DataConfig(sources=(str(tmp_path / "folder"),), follow_links=True, skip_invalid=True), 8
        )


def test_invalid_bytes_of_a_table_are_replaced_where_asked(tmp_path: Path) -> None:
    from glassgpt.data.examples.table import read_rows
    from glassgpt.data.files import Report

    (tmp_path / "a.csv").write_bytes(("text\n" + "é" * 99).encode()[:-1])
    report = Report(skip_invalid=True)
    assert [row["text"][-1] for _, row in read_rows(tmp_path / "a.csv", None, report)] == ["\ufffd"]
    assert report.notes()[0].startswith("invalid bytes replaced by U+FFFD")
