"""A stranger's state.json is checked in full before a resume uses it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from glassgpt.checkpoint import CorruptCheckpoint, Run, TrainState, steps
from glassgpt.checkpoint.store.manifest import fingerprint
from glassgpt.checkpoint.store.migrate import FORMAT
from glassgpt.errors import UserError
from glassgpt.train import resume

GOLDEN = Path(__file__).parents[2] / "golden" / f"format-{FORMAT}" / "run"


@pytest.fixture
def step(tmp_path: Path) -> Path:
    return steps(Run(shutil.copytree(GOLDEN, tmp_path / "run")).checkpoints)[0]


def change(step: Path, **values: Any) -> None:
    state = json.loads((step / "state.json").read_text()) | values
    (step / "state.json").write_text(json.dumps(state))
    files = {f.name: fingerprint(f) for f in step.iterdir() if f.name != "MANIFEST.json"}
    (step / "MANIFEST.json").write_text(json.dumps({"format": FORMAT, "files": files}))


def test_a_state_of_ours_is_read(step: Path) -> None:
    assert TrainState.read(step).step == int(step.name.removeprefix("step-"))


@pytest.mark.parametrize(
    "values",
    [
        {"environment": 1048576},
        {"environment": {"torch": 2}},
        {"elapsed_s": "/etc/passwd"},
        {"eval_s": [[]]},
        {"next_eval": -1},
        {"best": float("inf")},
        {"best_step": "../../x"},
        {"skipped_steps": 3},
        {"skipped_steps": ["x"]},
        {"eval_stride": 0},
        {"n_worse": "x"},
        {"n_worse": -1},
    ],
    ids=str,
)
def test_another_type_or_value_is_refused(step: Path, values: dict[str, Any]) -> None:
    change(step, **values)
    with pytest.raises(CorruptCheckpoint, match=next(iter(values))):
        TrainState.read(step)
    with pytest.raises(UserError):
        resume(step.parents[1])
