"""Runs of every format there has been: they load to the same logits, and training goes on from them.

A new format needs a migration (checkpoint/migrate.py), or this fails. The runs are never made anew.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from glassgpt.checkpoint import (
    CorruptCheckpoint,
    Run,
    read_state,
    read_tensors,
    save_step,
    steps,
    verify_run,
    verify_step,
)
from glassgpt.checkpoint.store.manifest import fingerprint
from glassgpt.checkpoint.store.migrate import FORMAT, MIGRATIONS, Migration
from glassgpt.config import RunConfig
from glassgpt.train import Evaluated, StepDone, resume
from golden.make_run import MORE, STEPS, logits

GOLDEN = Path(__file__).parent
FORMATS = sorted(GOLDEN.glob("format-*"))


def test_there_is_a_run_of_every_format() -> None:
    assert [path.name for path in FORMATS] == [f"format-{n}" for n in range(1, FORMAT + 1)]
    assert sum(file.stat().st_size for file in GOLDEN.rglob("*") if file.is_file()) < 100_000 * FORMAT


@pytest.mark.parametrize("golden", FORMATS, ids=lambda path: path.name)
def test_it_says_what_it_said(golden: Path) -> None:
    expected = torch.tensor(json.loads((golden / "logits.json").read_text()))
    assert expected.abs().max() > 0.1  # it has learned something
    torch.testing.assert_close(torch.tensor(logits(golden / "run")), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("golden", FORMATS, ids=lambda path: path.name)
def test_it_is_healthy(golden: Path) -> None:
    health = verify_run(golden / "run")
    assert health.code == 0 and not health.stale_files
    assert [step.resumable for step in health.steps] == [True]


@pytest.mark.parametrize("golden", FORMATS, ids=lambda path: path.name)
def test_training_goes_on(golden: Path, tmp_path: Path) -> None:
    """From where it was: evaluations and steps follow from its state, and the loss goes on falling."""
    run = shutil.copytree(golden / "run", tmp_path / "run")
    config = Run.open(run).config()
    tables = config.model_dump(mode="json")
    longer = RunConfig.model_validate(tables | {"train": tables["train"] | {"steps": STEPS + MORE}})
    before = [row["nats_per_char"] for row in Run.open(run).metrics() if row["event"] == "eval"]
    session = resume(run, longer)
    assert session.trainer.step == STEPS and session.trainer.best == pytest.approx(before[-1])
    assert all(optimizer.state for optimizer in session.trainer.learner.optimizers.values())
    events = list(session.run())
    assert [e.step for e in events if isinstance(e, StepDone)] == list(range(STEPS + 1, STEPS + MORE + 1))
    after = [e.nats_per_char for e in events if isinstance(e, Evaluated)]
    assert after[-1] < before[-1]
    assert verify_run(run).code == 0


def as_format(step: Path, version: int) -> None:
    """Make a step of another format of one of ours."""
    state = json.loads((step / "state.json").read_text())
    (step / "state.json").write_text(json.dumps({**state, "format": version}))
    files = {f.name: fingerprint(f) for f in step.iterdir() if f.name != "MANIFEST.json"}
    (step / "MANIFEST.json").write_text(json.dumps({"format": version, "files": files}))


@pytest.fixture
def three_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two older formats: a state with another key, tensors with another prefix."""
    monkeypatch.setattr("glassgpt.checkpoint.store.migrate.FORMAT", 3)

    def rename(state: dict) -> dict:
        return {"best" if key == "lowest" else key: value for key, value in state.items()}

    def strip(stem: str, name: str) -> str:
        return name.removeprefix("old.") if stem == "model" else name

    monkeypatch.setitem(MIGRATIONS, 1, Migration(state=rename))
    monkeypatch.setitem(MIGRATIONS, 2, Migration(name=strip))


@pytest.mark.usefixtures("three_formats")
@pytest.mark.parametrize(("version", "key"), [(1, "lowest"), (2, "best"), (3, "best")])
def test_an_older_format_is_migrated(tmp_path: Path, version: int, key: str) -> None:
    name = "w" if version == 3 else "old.w"
    tensors = {"model": {name: torch.full((2,), 2.0)}, "optimizer": {"old.w": torch.ones(2)}}
    step = save_step(tmp_path, 1, tensors, {key: 7})
    as_format(step, version)
    verify_step(step)
    assert read_state(step) == {"format": 3, "step": 1, "best": 7}
    assert {name: t.tolist() for name, t in read_tensors(step, "model").items()} == {"w": [2.0, 2.0]}
    assert list(read_tensors(step, "optimizer")) == ["old.w"]


@pytest.mark.usefixtures("three_formats")
def test_a_format_without_a_way_here(tmp_path: Path) -> None:
    step = save_step(tmp_path, 1, {"model": {"w": torch.ones(2)}}, {})
    del MIGRATIONS[2]
    as_format(step, 2)
    with pytest.raises(CorruptCheckpoint, match="format 2 is not known"):
        verify_step(step)


@pytest.mark.parametrize(
    ("version", "match"),
    [
        (FORMAT + 1, "newer than.*Update glassgpt: pip"),
        (0, "not known"),
        (-1, "not known"),
        (-(10**15), "not known"),
    ],
)
def test_a_format_that_is_not_ours(tmp_path: Path, version: int, match: str) -> None:
    step = save_step(tmp_path, 1, {"model": {"w": torch.ones(2)}}, {})
    as_format(step, version)
    for check in (verify_step, read_state, lambda step: read_tensors(step, "model")):
        with pytest.raises(CorruptCheckpoint, match=match):
            check(step)
    assert steps(tmp_path) == [step]


def test_a_newer_format_is_recognized_whatever_else_its_manifest_holds(tmp_path: Path) -> None:
    step = save_step(tmp_path, 1, {"model": {"w": torch.ones(2)}}, {})
    (step / "MANIFEST.json").write_text(json.dumps({"format": FORMAT + 1, "parts": []}))
    with pytest.raises(CorruptCheckpoint, match="newer than"):
        verify_step(step)
