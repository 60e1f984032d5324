"""`glassgpt train … --dry-run`: every setting with its value and origin, and nothing trained or written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glassgpt.config import resolve
from helpers.commands import run


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    text = "".join(f"{i} geese, {i * 7 % 31} swans, {i * 5 % 13} ashore.\n" for i in range(100))
    (tmp_path / "notes.txt").write_text(text)
    (tmp_path / "my.toml").write_text("[model]\nn_layer = 3\n[train]\nseed = 5\n")
    return tmp_path


def test_the_table_names_values_and_origins(notes: Path) -> None:
    shown = run(
        *(notes, "train", "notes.txt", "--config", "my.toml", "--seed", "9", "--size", "nano", "--dry-run"),
        "--no-autopilot",
    )
    rows = settings(shown)
    assert rows["model.n_layer"][0] == "3" and rows["model.n_layer"][1].strip() == "my.toml"
    assert rows["train.seed"][0] == "9" and rows["train.seed"][1].strip() == "option"
    assert rows["model.n_embd"][1].strip() == "size nano"
    assert rows["optim.lr"][0] == "0.02" and rows["optim.lr"][1].strip() == "default"
    assert "Nothing was trained or written" in shown
    assert not (notes / "runs").exists()


def settings(shown: str) -> dict[str, list[str]]:
    """Return value and origin by setting."""
    rows = [line.rstrip().split(maxsplit=2) for line in shown.splitlines() if "." in line.split(" ")[0]]
    return {name: rest for name, *rest in rows}


def test_the_autopilot_chooses_what_is_not_given(notes: Path) -> None:
    rows = settings(run(notes, "train", "notes.txt", "--steps", "300", "--block-size", "48", "--dry-run"))
    assert rows["model.block_size"] == ["48", "option"]
    for name in ("tokenizer.kind", "model.preset", "model.dropout", "optim.muon_lr"):
        assert rows[name][1].strip() == "autopilot"
    short = settings(run(notes, "train", "notes.txt", "--steps", "3", "--dry-run"))
    assert short["model.n_embd"][1].strip() == "size micro"  # too short for the autopilot


def test_all_settings_as_json(notes: Path) -> None:
    told = json.loads(run(notes, "train", "notes.txt", "--dry-run", "--json"))
    assert told["task"] == "language"
    assert told["settings"].keys() == {setting.name for setting in resolve([]).settings()}
    assert told["settings"]["data.sources"] == {"value": ["notes.txt"], "from": "option"}


def test_it_is_for_new_runs(notes: Path) -> None:
    assert "Leave --resume out" in run(notes, "train", "--resume", "runs/x", "--dry-run", code=2)
    assert "--n-layer" in run(notes, "train", "notes.txt", "--n-layer", "0", "--dry-run", code=2)
