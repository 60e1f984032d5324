"""`glassgpt learn`: one screen, the next command, progress after `explain` and practice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from glassgpt.cli.progress import record_step
from glassgpt.explain import PATH
from helpers.commands import run
from helpers.explain_runs import small_run

sys.path.append(str(Path(__file__).parents[2] / "tools"))
import learning_path as path_tool


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_path_is_one_screen_and_ends_with_the_next_command(tmp_path: Path, language: str) -> None:
    lines = run(tmp_path, "learn", "--lang", language).splitlines()
    assert len(lines) <= 23 and max(map(cell_len, lines)) <= 80
    assert lines[-1] == "  glassgpt explain loss"
    assert lines[1].startswith("→  loss")


def test_a_chapter_is_done_after_explain(tmp_path: Path) -> None:
    told = run(tmp_path, "explain", "loss")
    assert "next: sampling   glassgpt explain sampling" in told.splitlines()[-1]
    lines = run(tmp_path, "learn").splitlines()
    assert lines[1].startswith("✓  loss") and lines[-1] == "  glassgpt explain sampling"
    run(tmp_path, "learn", "--reset")
    assert run(tmp_path, "learn").splitlines()[-1] == "  glassgpt explain loss"


def test_a_chapter_that_fails_is_not_done(tmp_path: Path) -> None:
    run(tmp_path, "explain", "loss", "--run", "nowhere", code=2)
    assert json.loads(run(tmp_path, "learn", "--json"))["done"] == 0


def test_practice_is_trained_then_looked_at_then_done(tmp_path: Path) -> None:
    assert "glassgpt train python --model bigram" in run(tmp_path, "learn", "bigram")
    (tmp_path / "runs").mkdir()
    small_run(tmp_path / "runs", "bigram")
    step = json.loads(run(tmp_path, "learn", "bigram", "--json"))
    assert (step["run"], step["done"]) == ("runs/run", False)
    command = step["command"].split()
    assert command[:3] == ["glassgpt", "sample", "runs/run"]
    run(tmp_path, *command[1:])
    assert json.loads(run(tmp_path, "learn", "bigram", "--json"))["done"]


def test_json_has_every_step(tmp_path: Path) -> None:
    shown = json.loads(run(tmp_path, "learn", "--json", "--lang", "en"))
    names = [step["name"] for step in shown["steps"]]
    assert names == [step.name for step in PATH]
    assert shown["command"] == "glassgpt explain loss" and shown["next"] == "loss"


def test_next_is_the_step_to_do(tmp_path: Path) -> None:
    assert run(tmp_path, "learn", "next").startswith("loss")
    for step in PATH:
        record_step(step.name)
    assert "You have done all" in run(tmp_path, "learn")
    assert "you have done all steps" in run(tmp_path, "learn", "next", code=2)


def test_a_missing_extra_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgpt.explain.path.MODULES", {"data": ("no_such_module",)})
    told = run(tmp_path, "learn", "dates")
    assert told.index("pip install 'glassgpt[data]'") < told.index("glassgpt train dates")


def test_what_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    assert "did you mean qkv?" in run(tmp_path, "learn", "qk", code=2)
    assert "Leave loss out" in run(tmp_path, "learn", "loss", "--reset", code=2)


def test_the_list_of_chapters_points_to_the_path(tmp_path: Path) -> None:
    assert "glassgpt learn" in run(tmp_path, "explain").splitlines()[-1]


@pytest.mark.parametrize("language", path_tool.PAGES)
def test_the_guide_has_the_same_table(language: str) -> None:
    """Run `python tools/learning_path.py` to update it."""
    text = path_tool.PAGES[language].read_text("utf-8")
    assert path_tool.replaced(text, language) == text
