"""The task that files are plainly for, without an option; and the limits of that: running text stays text."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from glassgpt.config import Layer
from glassgpt.train import Plan, plan

N = 40
WORDS = "boat lamp door map bread fox mill rain letter road".split()


def sentence(i: int) -> str:
    return f"{' '.join(random.Random(i).choices(WORDS, k=6))} {i}"


def planned(*sources: Path, **tables: object) -> Plan:
    data = {"sources": [str(source) for source in sources]}
    return plan([Layer("option", {"data": data, **tables})])


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("header", ["Review Text,Stars", "text,label", "id,comment,overall rating"])
def test_texts_with_repeating_labels_become_a_classifier(tmp_path: Path, header: str) -> None:
    id_ = lambda i: f"{i}," if "id" in header else ""  # noqa: E731
    file = write(tmp_path / "a.csv", header, *(f"{id_(i)}{sentence(i)},{i % 3 + 1}" for i in range(N)))
    found = planned(file)
    assert found.task.name == "classification" and found.config.model.labels == ("1", "2", "3")
    assert len(found.corpus.train) + len(found.corpus.val) == N
    assert (
        found.notes[0].startswith("this run learns to tell classes apart")
        and "`task` to language" in found.notes[0]
    )


def test_the_user_s_choice_wins(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "text,label", *(f"{sentence(i)},{i % 2}" for i in range(N)))
    for tables in ({"task": "language"}, {"model": {"family": "gpt"}}, {"model": {"family": "bigram"}}):
        found = planned(file, **tables)
        assert found.task.name == "language" and not found.notes
    column = planned(file, data={"sources": [str(file)], "column": "text"})
    assert column.task.name == "language"


def test_pairs_become_a_translator(tmp_path: Path) -> None:
    anki = write(tmp_path / "fra.txt", *(f"{sentence(i)}\t{sentence(-i)}\tCC-BY 2.0 #{i}" for i in range(N)))
    table = write(tmp_path / "a.csv", "en,de", *(f"{sentence(i)},{sentence(-i)}" for i in range(N)))
    one, other = (write(tmp_path / f"train.{x}", *map(sentence, range(N))) for x in ("en", "de"))
    for sources in ((anki,), (table,), (one, other)):
        found = planned(*sources)
        assert found.task.name == "translation" and found.config.model.family == "seq2seq"
        assert len(found.corpus.train) + len(found.corpus.val) == N


def test_a_folder_of_images_becomes_a_captioner(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for i in range(N):
        image.new("RGB", (8, 8), (5 * i, 0, 0)).save(tmp_path / f"{i}.png")
    write(tmp_path / "captions.csv", "image,caption", *(f"{i}.png,{sentence(i)}" for i in range(N)))
    assert planned(tmp_path).task.name == "captioning"


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("free_labels.csv", "text,topic", lambda i: f"{sentence(i)},topic {i}"),
        ("dates.csv", "text,date", lambda i: f"{sentence(i)},{i % 2}"),
        ("numbered.txt", f"0\t{sentence(0)}", lambda i: f"{i}\t{sentence(i)}"),
        ("tabs.txt", f"{sentence(0)}\tx", lambda i: f"{sentence(i)}\tx"),
        ("plain.txt", sentence(0), sentence),
    ],
)
def test_other_files_stay_running_text(tmp_path: Path, name: str, header: str, row: object) -> None:
    rows = [row(i) for i in range(1, N)]  # pyright: ignore[reportCallIssue]
    assert planned(write(tmp_path / name, header, *rows)).task.name == "language"


def test_a_folder_with_a_table_stays_running_text(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "text,label", *(f"{sentence(i)},{i % 2}" for i in range(N)))
    write(tmp_path / "b.txt", *map(sentence, range(N)))
    assert planned(tmp_path).task.name == "language"
