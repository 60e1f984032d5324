"""Held-out text: spread over documents, rows and lines, without copies on both sides."""

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest

from glassgpt.config import DataConfig
from glassgpt.data import Corpus, read_corpus
from glassgpt.data.corpus.lists import is_list
from glassgpt.data.corpus.split import divide
from glassgpt.data.corpus.spool import Spool
from glassgpt.errors import UserError

ENGLISH = "a tired fox repairs seven lamps in the rain while my aunt follows old maps".split()
CHINESE = "旧星雨新花北夏短日前左云鱼土火少地木天长草秋大坏上"
SYLLABLES = ["".join(pair) for pair in itertools.product("bdklmnrst", "aeiou")]


def prose(words: list[str] | str, n: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    join = "" if isinstance(words, str) else " "
    return "\n".join(join.join(rng.choices(words, k=12)) for _ in range(n))


def names(n: int = 2000) -> list[str]:
    rng = random.Random(1)
    return sorted({"".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(n)})


def read(path: Path, **options: object) -> Corpus:
    return read_corpus(DataConfig.model_validate({"sources": [str(path)], **options}))


def test_the_held_out_text_of_a_folder_comes_from_each_large_file(tmp_path: Path) -> None:
    texts = {"a.txt": prose(ENGLISH, 200), "b.txt": prose(CHINESE, 1500)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
    corpus = read(tmp_path)
    assert corpus.split == corpus.manifest()["split"] == "documents"
    assert "held out: the end of 2 documents" in corpus.notes
    val = corpus.val.read()
    for text in texts.values():
        assert text[-100:] in val and text[:100] not in val
    assert not set(val) - set(corpus.train.read())  # no unknown alphabet
    total = corpus.train.n_chars + corpus.val.n_chars
    assert corpus.val.n_chars == pytest.approx(total / 10, rel=0.1)
    assert len(corpus.val.read()) == corpus.val.n_chars and corpus.val.n_bytes == len(val.encode())
    assert all(line in "\n".join(texts.values()) for line in val.split("\n"))  # cut at the start of a line


def test_rows_sorted_by_class_are_held_out_of_every_class(tmp_path: Path) -> None:
    rows = [f"class{i // 100} row {i} of the table, a text" for i in range(1000)]
    (tmp_path / "a.csv").write_text("text\n" + "".join(f'"{row}"\n' for row in rows))
    corpus = read(tmp_path / "a.csv")
    held_out = corpus.val.read().split()
    assert len({word for word in held_out if word.startswith("class")}) == 10
    found = f"{corpus.train.read()}\n\n{corpus.val.read()}".split("\n\n")
    assert Counter(filter(None, found)) == Counter(rows)


def test_equal_rows_share_a_split(tmp_path: Path) -> None:
    rows = [f"row {i % 300} of the table, a text" for i in range(900)]
    (tmp_path / "a.csv").write_text("text\n" + "".join(f'"{row}"\n' for row in rows))
    corpus = read(tmp_path / "a.csv")
    train, val = (set(text.read().strip().split("\n\n")) for text in (corpus.train, corpus.val))
    assert not train & val and len(val) == 30


@pytest.mark.parametrize("kind", ["documents", "lines", "auto"])
def test_a_text_of_copies_is_split_at_its_end(kind: str) -> None:
    spool = Spool()
    spool.add(("" if i == 0 else "\n\n") + "the same row" for i in range(100))
    again = Spool()
    again.add(("the same row" if i == 0 else "\n\nthe same row" for i in range(100)), rows=True)
    for each in (spool, again):
        division = divide(each, kind, 0.1)  # pyright: ignore[reportArgumentType]
        assert division.kind == ("documents" if kind == "documents" and each is spool else "end")
        assert division.val.n_chars > 0 and division.train.n_chars > 0


def test_a_sorted_list_is_shuffled_and_split_by_line(tmp_path: Path) -> None:
    lines = names()
    (tmp_path / "names.txt").write_text("\n".join(lines) + "\n")
    corpus = read(tmp_path / "names.txt")
    train, val = corpus.train.read().splitlines(), corpus.val.read().splitlines()
    assert corpus.split == "lines" and f"a list of {len(lines):,} lines" in corpus.notes[0]
    assert sorted(train + val) == lines and not set(train) & set(val)
    assert len({line[0] for line in val}) == len({line[0] for line in lines})  # every first letter
    assert sum(a > b for a, b in itertools.pairwise(train)) > len(train) / 3  # in no order
    assert read(tmp_path / "names.txt").val.read() == corpus.val.read()  # always the same
    for kind in ("end", "documents"):
        assert read(tmp_path / "names.txt", split=kind).val.read().splitlines()[-1] == lines[-1]


def test_lines_on_request_keep_repeated_lines_together(tmp_path: Path) -> None:
    lines = [f"{move} is played, and then the other moves" for move in range(200)] * 3
    (tmp_path / "moves.txt").write_text("\n".join(lines))
    assert read(tmp_path / "moves.txt").split == "end"
    corpus = read(tmp_path / "moves.txt", split="lines")
    train, val = corpus.train.read().splitlines(), corpus.val.read().splitlines()
    assert sorted(train + val) == sorted(lines) and not set(train) & set(val)


VERSE = (
    "O rose, thou art sick!\nThe invisible worm,\nThat flies in the night,\nIn the howling storm,\n\n" * 50
)
DIALOGUE = "".join(
    f"{who}: {line}\n" for who, line in itertools.product("AB", prose(ENGLISH, 80).split("\n"))
)
CODE = "def f(x):\n    return x\n\n\n" * 60
LOG = "".join(f"2024-01-{i // 24 + 1:02} {i % 24:02}:00 started\n" for i in range(600))
TANG = "".join("".join(random.Random(i).choices(CHINESE, k=5)) + "\n" for i in range(300))


@pytest.mark.parametrize("text", [VERSE, DIALOGUE, CODE, LOG, TANG, "ab\n" * 500, prose(ENGLISH, 300)])
def test_running_text_is_no_list(text: str) -> None:
    assert not is_list(text)


@pytest.mark.parametrize(
    "lines",
    [
        names(),
        random.Random(2).sample(names(), 500),  # in no order
        sorted(prose(ENGLISH, 200).split("\n")),  # long, but alphabetical
        ["".join(pair) for pair in itertools.product(CHINESE, CHINESE)],
        [f"Éclair {name.title()}" for name in names()],
    ],
)
def test_lists_are_lists(lines: list[str]) -> None:
    assert is_list("\n".join(lines) + "\n")


def test_the_parts_of_a_spool_are_the_whole_text() -> None:
    spool = Spool()
    spool.add(["one\n"])
    spool.add(["二", "\n\n3", "\n\n二"], rows=True)
    with pytest.raises(UserError):
        spool.add(iter_then_fail())
    spool.add([" "])  # blank, taken back
    parts = list(spool.parts())
    texts = [spool.text([part.stretch]).read() for part in parts]
    assert texts == ["one\n\n", "二\n\n", "3\n\n", "二"]
    assert [part.stretch.n_chars for part in parts] == [5, 3, 3, 1]
    assert parts[1].digest == parts[3].digest != parts[2].digest


def iter_then_fail():
    yield "lost"
    raise UserError("x")


def test_texts_of_many_stretches_are_read_in_whole_chunks() -> None:
    spool = Spool()
    spool.add((("" if i == 0 else "\n\n") + f"山{i}" for i in range(500)), rows=True)
    text = spool.text(part.stretch for i, part in enumerate(spool.parts()) if i % 2)
    whole = text.read()
    assert whole.startswith("山1\n\n山3\n\n") and len(whole) == text.n_chars
    chunks = list(text.raw_chunks(100))
    assert b"".join(chunks).decode() == whole and {len(chunk) for chunk in chunks[:-1]} == {100}
    for n in (0, 1, 7, 1000, 10**9):
        assert text.last_bytes(n) == whole.encode()[max(0, text.n_bytes - n) :]
