"""Settings that may change when a run resumes: the tables of the code, of the guide, and the settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glassgpt.cli.commands.train import resumed_config
from glassgpt.config import RunConfig, TrainConfig
from glassgpt.config.resumable import FIXED, RESUMABLE
from glassgpt.errors import UserError

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "runs.md"
OTHER = {
    "steps": 9, "minutes": 2.0, "tokens": 9_000, "max_epochs": 2.5, "evals": 3, "patience": 2,
    "save_minutes": 1.0, "sample_tokens": 5, "snapshots": 4, "doctor": False,
    "tensorboard": True, "trackio": True, "device": "cpu", "threads": 1, "dtype": "bfloat16", "compile": True,
    "on_nan": "skip", "on_save_error": "stop", "micro_batch_size": 3, "grad_accum_steps": 2, "seed": 7,
    "label_smoothing": 0.5, "mask_fraction": 0.5,
}  # fmt: skip
"""A value other than the default for each setting."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(RunConfig.model_validate({}).model_dump_json())
    return tmp_path


def test_every_setting_of_training_is_in_one_of_the_tables() -> None:
    assert RESUMABLE.keys() | FIXED.keys() == set(TrainConfig.model_fields)
    assert not RESUMABLE.keys() & FIXED.keys()


@pytest.mark.parametrize("name", TrainConfig.model_fields)
def test_the_tables_are_true(run: Path, name: str) -> None:
    given = {"train": {name: OTHER[name]}}
    if name in RESUMABLE:
        assert getattr(resumed_config(run, given).train, name) == OTHER[name]
    else:
        with pytest.raises(UserError, match=re.escape(FIXED[name])):
            resumed_config(run, given)


@pytest.mark.parametrize("part", sorted(RunConfig.model_fields.keys() - {"train"}))
def test_other_tables_never_change(run: Path, part: str) -> None:
    with pytest.raises(UserError, match=f"keeps its {part}"):
        resumed_config(run, {part: {}})


def test_the_guide_has_the_same_tables() -> None:
    rows = re.findall(r"^\| (`--.*?) \| (.*) \|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    said = {name: means for names, means in rows for name in re.findall(r"`--([a-z-]+)`", names)}
    assert said == {name.replace("_", "-"): means for name, means in (RESUMABLE | FIXED).items()}
