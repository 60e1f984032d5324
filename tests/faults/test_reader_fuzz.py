"""Damaged files of every format: an error in words, or a text whose rows are used or counted as skipped."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from glassgpt.config import DataConfig, RunConfig
from glassgpt.data import Corpus, is_chat, read_chat, read_corpus, read_labeled, read_pairs
from glassgpt.errors import UserError
from glassgpt.tasks import recognize
from helpers.reader_files import FILES, sentence

FEW, MANY = 6, 1_000
TOKENS = (
    b'"', b"'", b",", b"\t", b"\n", b"\r", b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"{", b"}",
    b"[", b"]", b"[[" * 3000, b"\\u0000", b"\\ud800", b"null", b"1e999", b"-0", b"NaN", b"<", b"&#0;",
    b"<![CDATA[", b"From ", b"\\bin99 ", b"\\'", "\u2028".encode(), "\u200e".encode(),
    b"99/99/9999, 99:99 - : ", b"-->",
    b": null", b'"from": 7', b"base64",
)  # fmt: skip
"""Pieces that have a meaning in some format."""


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return the file with one to four changes: bytes, meaningful pieces, parts that are moved or cut."""
    for _ in range(rng.randint(1, 4)):
        at, n = rng.randrange(len(data) + 1), rng.choice((1, 2, 8, 64, 1024))
        match rng.randrange(7):
            case 0:
                data = data[:at] + rng.randbytes(n) + data[at + n :]
            case 1:
                data = data[:at] + data[at + n :]
            case 2:
                data = data[:at] + data[at : at + n] * rng.choice((2, 3, 20)) + data[at + n :]
            case 3:
                data = data[:at]
            case 4:
                other = rng.randrange(len(data) + 1)
                data = data[:at] + data[other : other + n] + data[at:]
            case _:
                data = data[:at] + rng.choice(TOKENS) + data[at + rng.choice((0, 0, 1, n)) :]
    return data


def read_in_every_way(path: Path, skip: bool) -> int:
    """Read a file as text, conversations, pairs and labels. Returns the number of ways that worked."""
    config = DataConfig(sources=(str(path),), skip_invalid=skip)
    ways: tuple[Callable[[], object], ...] = (
        lambda: read_corpus(config),
        lambda: read_chat(config.model_copy(update={"me": "Ana"})),
        lambda: read_pairs(config),
        lambda: read_labeled(config),
    )
    is_chat(config)  # these two decide, and never raise
    recognize(RunConfig(data=config))
    n = 0
    for way in ways:
        try:
            assert way()
            n += 1
        except UserError as problem:
            assert len(problem.message) > 10
    return n


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_read_before_they_are_damaged(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    assert read_in_every_way(tmp_path / name, skip=False)


def fuzz(tmp_path: Path, name: str, n: int) -> None:
    for seed in range(n):
        path = tmp_path / name
        path.write_bytes(mutated(FILES[name], random.Random(f"{name} {seed}")))
        try:
            read_in_every_way(path, skip=seed % 2 == 0)
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}") from error


@pytest.mark.parametrize("name", FILES)
def test_damage_is_an_error_in_words(tmp_path: Path, name: str) -> None:
    fuzz(tmp_path, name, FEW)


@pytest.mark.slow
@pytest.mark.timeout(1_800)  # Python's reader of mails takes half a second for some
@pytest.mark.parametrize("name", FILES)
def test_much_damage_is_an_error_in_words(tmp_path: Path, name: str) -> None:
    fuzz(tmp_path, name, MANY)


BAD_JSON = (
    "{", '{"text": 3', '{"text": ["a", {"b": 1}]}', '{"other": "x"}', "[]", "nul", '{"text": {"a": "b"}}',
    '{"text" "x"}',
)  # fmt: skip
BAD_CSV = ("7", "7,a,b", '7,a "quoted" word,and,more', ",,,", "7;a")
GOOD_CSV = ('7,"a, b"', '7,"two ""words"""', "8, spaced ", '9,"it\'s"')


def rows_of(kind: str, rng: random.Random) -> tuple[str, int]:
    """Return a file in which some rows are bad, and its number of rows."""
    n = rng.randint(60, 90)
    bad = {rng.randrange(n) for _ in range(rng.randint(0, 8))}
    if kind == "jsonl":
        rows = [rng.choice(BAD_JSON) if i in bad else json.dumps({"text": sentence(i)}) for i in range(n)]
        return "\n".join(rows) + "\n", n
    if kind == "json":
        values = ([], 3, None, {"other": "x"}, {"text": {"a": 1}})
        return json.dumps([rng.choice(values) if i in bad else {"text": sentence(i)} for i in range(n)]), n
    good = [rng.choice(GOOD_CSV) if i % 9 == 5 else f"{i},{sentence(i)}" for i in range(n)]
    rows = [rng.choice(BAD_CSV) if i in bad else row for i, row in enumerate(good)]
    return "id,text\n" + "\n".join(rows) + "\n", n


def counted(corpus: Corpus) -> int:
    """Return the number of rows that are in the text, or skipped as a note says it."""
    used = [row for text in (corpus.train, corpus.val) for row in text.read().split("\n\n") if row]
    skipped = re.search(r"([\d,]+) rows? skipped", " ".join(corpus.notes))
    return len(used) + (int(skipped[1]) if skipped else 0)


def count_rows(tmp_path: Path, kind: str, n: int) -> None:
    for seed in range(n):
        text, n_rows = rows_of(kind, random.Random(f"{kind} {seed}"))
        path = tmp_path / f"a.{kind}"
        path.write_text(text, "utf-8")
        corpus = read_corpus(DataConfig(sources=(str(path),), skip_invalid=True))
        assert counted(corpus) == n_rows, (seed, corpus.notes)


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
def test_every_row_is_used_or_counted(tmp_path: Path, kind: str) -> None:
    count_rows(tmp_path, kind, 30)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
def test_every_row_of_many_files_is_used_or_counted(tmp_path: Path, kind: str) -> None:
    count_rows(tmp_path, kind, MANY)
