"""`glassgpt verify`: a line per step, a sentence, an exit code; and the health in `glassgpt runs`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from glassgpt.checkpoint import steps
from helpers.commands import run as command

GOLDEN = Path(__file__).parents[1] / "golden" / "format-1" / "run"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the run runs/notes."""
    monkeypatch.setenv("COLUMNS", "200")
    shutil.copytree(GOLDEN, tmp_path / "runs" / "notes")
    return tmp_path


def checkpoints(folder: Path) -> Path:
    return folder / "runs" / "notes" / "checkpoints"


def add_damaged_step(folder: Path) -> None:
    older = steps(checkpoints(folder))[0]
    newer = shutil.copytree(older, checkpoints(folder) / "step-0000000007")
    (newer / "model.safetensors").write_bytes(b"no")


def test_all_is_well(folder: Path) -> None:
    said = command(folder, "verify", "runs/notes")
    assert "✓  step-0000000006" in said and "the best; whole" in said and "✗" not in said
    assert "Nothing needs to be done." in said


def test_one_step_is_damaged(folder: Path) -> None:
    add_damaged_step(folder)
    said = command(folder, "verify", "runs/notes", code=1)
    assert "✗  step-0000000007" in said and "2 bytes, not 11,920" in said
    assert "✓  step-0000000006" in said
    assert "The newest usable step is step-0000000006" in said
    assert "glassgpt resume runs/notes" in said


def test_nothing_is_usable(folder: Path) -> None:
    (steps(checkpoints(folder))[0] / "state.json").unlink()
    assert "all steps are damaged" in command(folder, "verify", "runs/notes", code=2)


def test_no_run(folder: Path) -> None:
    assert "is not a run" in command(folder, "verify", "runs", code=2)
    assert "is not a run" in command(folder, "verify", "nowhere", code=2)


@pytest.mark.parametrize("damaged", [False, True])
def test_as_json(folder: Path, damaged: bool) -> None:
    if damaged:
        add_damaged_step(folder)
    found = json.loads(command(folder, "verify", "runs/notes", "--json", code=int(damaged)))
    assert found["code"] == int(damaged) and found["newest"] == "step-0000000006"
    assert [step["ok"] for step in found["steps"]] == [False, True][not damaged :]


def test_leftovers_are_listed(folder: Path) -> None:
    (checkpoints(folder) / ".writing-step-0000000009").mkdir()
    said = command(folder, "verify", "runs/notes")
    assert "left over:" in said and ".writing-step-0000000009" in said and "may be deleted" in said


def test_names_do_not_steer_the_terminal(folder: Path) -> None:
    (checkpoints(folder) / "\x1b[2J[red]x").mkdir()
    said = command(folder, "verify", "runs/notes")
    assert "\x1b[2J" not in said and "x1b[2J[red]x" in said


def test_runs_shows_health(folder: Path) -> None:
    said = command(folder, "runs")
    assert "done" in said and "damaged" not in said
    add_damaged_step(folder)
    said = command(folder, "runs")
    assert "note: runs/notes: 1 of 2 damaged" in said and "glassgpt verify runs/notes" in said


def test_runs_shows_strangers_runs(folder: Path) -> None:
    """A broken, odd or hostile run does not hide the others."""
    run = folder / "runs" / "notes"
    for name in ("a", "b", "c", "d"):
        shutil.copytree(run, folder / "runs" / name)
    (folder / "runs/a/config.json").write_text("[" * 100_000)
    (folder / "runs/b/verdict.json").write_text('{"scores": []}')
    (folder / "runs/b/metrics.jsonl").write_text(
        '[1]\n{"event": "step"}\n{"event": "eval", "nats_per_char": "x"}\n'
    )
    (folder / "runs/c/metrics.jsonl").unlink()
    (folder / "runs/c/metrics.jsonl").symlink_to("/etc/passwd")
    tables = json.loads((run / "config.json").read_text())
    tables["data"]["sources"] = ["\x1b[2J[bold]x"]
    (folder / "runs/d/config.json").write_text(json.dumps(tables))
    said = command(folder, "runs")
    lines = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    assert "damaged" in lines["a"] and "damaged" in lines["c"]
    assert "stopped" in lines["b"] and "done" in lines["notes"]
    assert "\x1b" not in said and "[bold]x" in lines["d"]


def test_runs_reads_no_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgpt.checkpoint.store.manifest.fingerprint", lambda path: pytest.fail("hashed"))
    assert "done" in command(folder, "runs")
