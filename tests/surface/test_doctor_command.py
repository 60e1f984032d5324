"""`glassgpt doctor`: findings in words, exit codes, JSON, and runs of which something is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from glassgpt.checkpoint import Run, read_tensors, steps
from helpers.commands import run as command

GOLDEN = Path(__file__).parents[1] / "golden" / "format-1" / "run"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the run runs/notes."""
    monkeypatch.setenv("COLUMNS", "80")
    shutil.copytree(GOLDEN, tmp_path / "runs" / "notes")
    return tmp_path


def test_a_healthy_run_in_words(folder: Path) -> None:
    said = command(folder, "doctor", "runs/notes")
    assert "checks passed" in said and "✗" not in said
    assert "processes: there is one process only" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_run_without_its_text_is_examined_as_far_as_possible(folder: Path) -> None:
    shutil.rmtree(folder / "runs" / "notes" / "data")
    said = command(folder, "doctor", "runs/notes")
    assert "the run has no running text" in " ".join(said.split())
    assert "its training data cannot be read" in " ".join(said.split())


def test_a_broken_model_has_exit_code_1(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: Run, *_: object, **__: object) -> object:
        model = load(run)
        model.blocks[0].attn.qkv.weight.data.zero_()
        return model

    load = Run.model
    monkeypatch.setattr(Run, "model", broken)
    found = json.loads(command(folder, "doctor", "runs/notes", "--json", code=1))
    assert found["findings"][0]["category"] == "projections"
    assert "a matrix is zero" in command(folder, "doctor", "runs/notes", code=1)


def test_weights_that_are_not_those_of_the_recorded_loss(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that a loader did not find is random again: the model runs, and costs more than was recorded."""

    def random_again(run: Run, *_: object, **__: object) -> object:
        model = load(run)
        for p in model.wte.parameters():
            p.data = p.data.flip(0)
        return model

    load = Run.model
    assert "recorded loss" not in json.loads(command(folder, "doctor", "runs/notes", "--json"))["skipped"]
    monkeypatch.setattr(Run, "model", random_again)
    found = json.loads(command(folder, "doctor", "runs/notes", "--json", code=1))
    (recorded,) = [each for each in found["findings"] if each["name"] == "recorded loss"]
    assert (recorded["outcome"], recorded["category"]) == ("fail", "saving")


def test_unusable_input(folder: Path) -> None:
    assert "is not a run" in command(folder, "doctor", "runs", code=2)
    step = steps(folder / "runs" / "notes" / "checkpoints")[0]
    assert read_tensors(step, "model")
    (step / "model.safetensors").write_bytes(b"no")
    assert "model.safetensors" in command(folder, "doctor", "runs/notes", code=2)
