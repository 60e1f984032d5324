"""Paths of a user that lead to no file, or to no run."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassgpt import load_run
from glassgpt.config import read_toml
from glassgpt.data import read_image
from glassgpt.errors import UserError
from glassgpt.paths import check_file
from glassgpt.train import import_nanogpt

READERS = {
    "image": lambda path: read_image(path, 8, 1),
    "settings": read_toml,
    "checkpoint": lambda path: import_nanogpt(path, text="notes.txt"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notes.txt").write_text("abc")
    (tmp_path / "runs" / "poems").mkdir(parents=True)
    (tmp_path / "runs" / "poems" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("note.txt", "^note.txt: no such file. Did you mean 'notes.txt'[?]$"),
        ("nowhere/x", "^nowhere/x: no such file. Check the path.$"),
        ("x" * 300, "no such file"),
        ("runs", "^runs: this is a folder. Give a file.$"),
    ],
)
def test_a_path_to_no_file_is_said_as_such(reader: str, path: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        READERS[reader](Path(path))


def test_a_file_is_no_problem() -> None:
    check_file("notes.txt")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("poems", r"there is no such folder.*Did you mean runs/poems\?"),
        ("runs/poem", r"there is no such folder.*Did you mean runs/poems\?"),
        ("notes.txt", "it is a file"),
        ("runs", "it has no config.json"),
        ("x" * 300, "too long"),
    ],
)
def test_a_path_to_no_run_names_the_run_that_was_meant(path: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_run(path)
