"""The whole way from sources to two texts and a record, on ugly input."""

import gc
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from glassgpt.config import DataConfig
from glassgpt.data.corpus import corpus as corpus_module
from glassgpt.data.corpus.corpus import MAX_VAL_CHARS, Corpus, read_corpus
from glassgpt.data.corpus.spool import Spool
from glassgpt.errors import UserError

WORDS = "the quick brown fox jumps over a lazy dog while 山 水 é ß 😀 rivers run".split()


def prose(n: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    text = ""
    while len(text) < n:
        text += " ".join(rng.choices(WORDS, k=50)) + "\n"
    return text[:n]


def read(*given: Path | str, **config: object) -> Corpus:
    return read_corpus(DataConfig.model_validate({"sources": [str(each) for each in given], **config}))


def whole(corpus: Corpus) -> str:
    return corpus.train.read() + corpus.val.read()


def test_tinyshakespeare_splits_where_nanogpt_splits_it() -> None:
    if not os.environ.get("GLASSGPT_DATA"):
        pytest.skip("GLASSGPT_DATA names no folder with tinyshakespeare.txt")
    corpus = read("shakespeare")
    assert (corpus.train.n_chars, corpus.val.n_chars) == (1_003_854, 111_540)
    assert corpus.val.read().startswith("?\n\nGREMIO:\nGood morrow, neighbour Baptista.")
    assert corpus.notes == ()
    (document,) = corpus.documents
    assert document.sha256 == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_split_counts_characters_not_bytes_and_loses_none(tmp_path: Path, fraction: float) -> None:
    text = prose(200_001)
    (tmp_path / "a.txt").write_text(text, "utf-8")
    corpus = read(tmp_path / "a.txt", val_fraction=fraction)
    assert whole(corpus) == text
    assert corpus.train.n_chars == len(corpus.train.read()) == int(len(text) * (1 - fraction))
    assert corpus.val.n_chars == len(corpus.val.read())
    assert corpus.train.n_bytes + corpus.val.n_bytes == len(text.encode())


def test_pieces_never_cut_a_character(tmp_path: Path) -> None:
    text = "山😀é" * 700
    corpus = Corpus.from_text(text)
    for size in (1, 2, 3, 5, 7, 1 << 20):
        assert "".join(corpus.train.chunks(size)) + "".join(corpus.val.chunks(size)) == text


@pytest.mark.parametrize("n_train", [0, 1, 1_048_574, 1_048_576, 1_048_577, 2_500_000, 3_000_000])
def test_split_lands_on_the_character_asked_for_in_a_large_spool(n_train: int) -> None:
    text = "é山😀x\n" * 600_000
    spool = Spool()
    assert spool.add([" \n" * 2_000_000]) == 0  # blank, taken back
    spool.add([text[:1_234_567], text[1_234_567:]])
    train, val = spool.split(n_train)
    assert train.read() == text[:n_train]
    assert val.read() == text[n_train:]


def test_the_validation_split_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_VAL_CHARS == 2_000_000
    monkeypatch.setattr(corpus_module, "MAX_VAL_CHARS", 500)
    (tmp_path / "a.txt").write_text(prose(10_000), "utf-8")
    assert read(tmp_path / "a.txt").val.n_chars == 500


def test_documents_are_joined_by_one_blank_line(tmp_path: Path) -> None:
    body = prose(600)
    for name, end in (
        ("a.txt", ""),
        ("b.txt", "\n"),
        ("c.txt", "\n\n"),
        ("d.txt", "\r\n\r\n\r\n"),
        ("e.txt", ""),
    ):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" * (name == "b.txt") + (name + body + end).encode())
    (tmp_path / "bb.txt").write_text(" \n\n\t ")
    corpus = read(tmp_path, split="end")
    body = body.rstrip("\n") + ("\n" if body.endswith("\n") else "")
    assert whole(corpus) == f"a.txt{body}\n\nb.txt{body}\n\nc.txt{body}\n\nd.txt{body}\n\n\ne.txt{body}"
    assert [document.n_chars for document in corpus.documents] == [605, 606, 607, 608, 605]
    assert any("1 file skipped" in note and "bb.txt: it is empty" in note for note in corpus.notes)


def test_manifest_says_where_everything_came_from(tmp_path: Path) -> None:
    data = prose(3000).encode("utf-16")
    (tmp_path / "my notes.txt").write_bytes(data)
    corpus = read(tmp_path / "my notes.txt")
    manifest = json.loads(json.dumps(corpus.manifest()))
    assert manifest["documents"] == [
        {
            "name": str(tmp_path / "my notes.txt"),
            "encoding": "utf-16",
            "n_chars": 3000,
            "n_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    ]
    assert manifest["sha256"] == hashlib.sha256(prose(3000).encode()).hexdigest()
    assert manifest["train"]["n_chars"] == 2700
    assert manifest["notes"] == list(corpus.notes)
    assert corpus.notes[0].startswith("read as utf-16 (detected")


def test_a_named_encoding_overrides_detection_and_is_no_news(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Zażółć gęślą jaźń. ".encode("iso-8859-2") * 100)
    corpus = read(tmp_path / "a.txt", encoding="iso-8859-2")
    assert whole(corpus).startswith("Zażółć gęślą jaźń. ")
    assert not any("read as" in note for note in corpus.notes)


def test_a_passage_in_both_splits_is_reported(tmp_path: Path) -> None:
    text = prose(20_000)
    (tmp_path / "a.txt").write_text(text + text[100:400], "utf-8")
    (note,) = read(tmp_path / "a.txt").notes
    assert "also has 1 passage of 64 characters or more (14.8%; the longest begins" in note


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b" \n\t\r\n" * 1000, "only white space"),
        (b"thirty characters, no more. ok", r"30 characters are too few.*minimum is 1,000"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0", "this is a PNG image"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_the_limit(
    tmp_path: Path, data: bytes, says: str
) -> None:
    (tmp_path / "a b.txt").write_bytes(data)
    with pytest.raises(UserError, match=says) as caught:
        read(tmp_path / "a b.txt")
    assert "a b.txt" in str(caught.value)


def test_an_unusable_file_named_beside_a_good_one_is_still_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose(2000), "utf-8")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\0")
    with pytest.raises(UserError, match=r"b\.png: this is a PNG image"):
        read(tmp_path / "a.txt", tmp_path / "b.png")


def test_a_binary_file_in_a_folder_is_skipped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose(2000), "utf-8")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (tmp_path / "c.json").write_text('{"name": "x", "version": 1}')
    corpus = read(tmp_path)
    assert len(corpus.documents) == 1
    assert corpus.notes[0].startswith("2 files skipped: ") and "b.png: this is a PNG image" in corpus.notes[0]


def test_a_folder_without_text_says_why(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"\x89PNG\0")
    with pytest.raises(UserError, match=r"no text found.*\n.*b\.png: this is a PNG image"):
        read(tmp_path)


def test_a_bad_line_is_an_error_or_in_a_folder_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "%s"}\n{"text": \n{"text": "b"}\n' % ("a" * 2000))
    with pytest.raises(UserError, match=r"a\.jsonl:2: this is not JSON.*`skip_invalid`"):
        read(path)
    for corpus in (read(tmp_path), read(path, skip_invalid=True)):
        assert corpus.train.n_chars + corpus.val.n_chars == 2003
        assert any(f"1 row skipped: {path}:2: this is not JSON" in note for note in corpus.notes)


def test_an_error_leaves_no_half_document() -> None:
    spool = Spool()
    spool.add(["kept\n"])
    with pytest.raises(ZeroDivisionError):
        spool.add("lost" * (1 // n) for n in (1, 0))
    spool.add(["also kept"])
    assert spool.split(0)[1].read() == "kept\n\nalso kept"


def test_a_validation_fraction_too_small_to_measure_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose(1000), "utf-8")
    with pytest.raises(UserError, match=r"validation split has 10 characters.*`val_fraction`"):
        read(tmp_path / "a.txt", val_fraction=0.01)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    data = prose(2000).replace("\n", "\r\n").encode("utf-8")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    corpus = read("-")
    assert whole(corpus) == prose(2000)
    assert corpus.documents[0].name == "standard input"


def test_a_zip_is_read_like_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b/two.md", "two " + prose(1000, 2))
        archive.writestr("a.html", "<p>one</p>")
        archive.writestr("c.csv", "text\nthree\n")
        archive.writestr("img.png", b"\x89PNG\0\0")
        archive.writestr("__MACOSX/._a", b"\0")
    corpus = read(tmp_path / "a.zip")
    assert [Path(document.name).name for document in corpus.documents] == ["a.html", "two.md", "c.csv"]
    assert whole(corpus).startswith("one\n\ntwo ")
    assert corpus.notes[0].startswith("1 file skipped: ")


def test_a_damaged_zip_member_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", prose(20_000))
    data = bytearray(path.read_bytes())
    data[400:420] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.txt: the file is damaged"):
        read(path)


def test_the_temporary_folder_lives_as_long_as_a_text_in_it() -> None:
    corpus = Corpus.from_text(prose(2000))
    path, val = corpus.val.path, corpus.val
    del corpus
    gc.collect()
    assert val.read() == prose(2000)[1800:]
    del val
    gc.collect()
    assert not path.parent.exists()


def test_a_folder_that_was_given_is_made_and_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose(2000), "utf-8")
    into = tmp_path / "deep" / "er"
    corpus = read_corpus(DataConfig(sources=(str(tmp_path),)), into)
    again = read_corpus(DataConfig(sources=(str(tmp_path / "a.txt"),)), into)
    assert corpus.train.path.parent == into and again.train.read() == corpus.train.read()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write the text to"):
        Spool(tmp_path / "file" / "under")


def test_half_a_surrogate_pair_becomes_a_replacement_character(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "half \ud83d, whole \U0001f600 " + prose(2000)}))
    assert whole(read(tmp_path / "a.jsonl")).startswith("half \ufffd, whole 😀 ")


def test_from_text_takes_any_string() -> None:
    assert whole(Corpus.from_text("ab")) == "ab"
    with pytest.raises(UserError, match="empty"):
        Corpus.from_text(" \n")


MEASURE = """
import resource, sys
from pathlib import Path
from glassgpt.config import DataConfig
from glassgpt.data.corpus.corpus import read_corpus
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
corpus = read_corpus(DataConfig(sources=(sys.argv[1],)))
print((peak() - before) // 1024, corpus.train.n_chars + corpus.val.n_chars)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kibibytes on Linux only")
@pytest.mark.parametrize("kind", ["lines", "one line", "gb18030", "copies"])
def test_memory_stays_bounded(tmp_path: Path, kind: str) -> None:
    path, lines, rng = tmp_path / "big.txt", prose(1 << 20).split("\n"), random.Random(0)
    with path.open("wb") as file:
        for _ in range({"one line": 10}.get(kind, 150)):
            rng.shuffle(lines)
            piece = "\n".join(lines if kind == "copies" else [line[rng.randrange(99) :] for line in lines])
            piece = piece.replace("\n", " ") if kind == "one line" else piece
            file.write(piece.replace("😀", "").encode("gb18030" if kind == "gb18030" else "utf-8"))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout.split()[0]) < 100, done.stdout
