"""The live doctor: silent on a healthy training, and it names what goes wrong in it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

import glassgpt as gg
from glassgpt.config import RunConfig
from glassgpt.models import Model
from glassgpt.train import Diagnosed, LiveDoctor, Observer, start
from helpers.commands import run

TEXT = "".join(f"{i} green bottles hanging on the wall, {i % 7} should fall.\n" for i in range(300))


def diagnosed(folder: Path, *others: Observer, doctor: LiveDoctor, **train: Any) -> list[Diagnosed]:
    source = folder / "notes.txt"
    source.write_text(TEXT)
    settings = {
        "data": {"sources": (str(source),)},
        "model": {"size": "nano", "n_layer": 1, "n_embd": 16, "n_head": 1, "block_size": 16},
        "train": {"steps": 40, "micro_batch_size": 4, "sample_tokens": 0, "evals": 4, **train},
    }
    session = start(RunConfig.model_validate(settings), folder / "run", observers=[*others, doctor])
    return [event for event in session.run() if isinstance(event, Diagnosed)]


def test_a_healthy_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgpt.train.live_doctor.MAX_SHARE", 1.0)
    assert diagnosed(tmp_path, doctor=LiveDoctor()) == []


def test_a_rate_that_is_too_high(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgpt.train.live_doctor.MAX_SHARE", 1.0)
    found = diagnosed(tmp_path, Shake(), doctor=LiveDoctor())
    assert [event.category for event in found][:1] == ["optimizer"]


def test_every_run_is_watched_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(TEXT)
    said = run(tmp_path, "train", "notes.txt", "--size", "nano", "--steps", "12", "--out", "run")
    assert "doctor" not in said  # nothing is wrong
    assert gg.Run(tmp_path / "run").config().train.doctor
    run(tmp_path, "train", "notes.txt", "--size", "nano", "--steps", "1", "--no-doctor", "--out", "alone")
    assert not gg.Run(tmp_path / "alone").config().train.doctor


@pytest.mark.usefixtures("cpu_clock")
def test_it_takes_little_time(tmp_path: Path) -> None:
    doctor = LiveDoctor()
    began = time.monotonic()
    diagnosed(tmp_path, doctor=doctor, steps=300)
    assert doctor.seconds < 0.03 * (time.monotonic() - began)


class Cut(Observer):
    """Cuts the gradient of a matrix."""

    def on_gradients(self, step: int, model: Model) -> None:
        model.blocks[0].mlp.proj.weight.grad = None


class Shake(Observer):
    """Makes each update as large as the weights."""

    def on_gradients(self, step: int, model: Model) -> None:
        self.before = [p.detach().clone() for p in model.parameters()]

    def on_update(self, step: int, model: Model) -> None:
        for before, p in zip(self.before, model.parameters(), strict=True):
            p.data.copy_(before.flip(0))


class Jump(Observer):
    """Breaks the weights in the middle of the training."""

    def on_update(self, step: int, model: Model) -> None:
        if step == 25:
            for p in model.parameters():
                p.data.mul_(-30)


def test_a_parameter_without_a_gradient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgpt.train.live_doctor.MAX_SHARE", 1.0)
    (found,) = diagnosed(tmp_path, Cut(), doctor=LiveDoctor())
    assert found.category == "mlp" and "blocks.0.mlp.proj.weight" in found.cause


def test_a_loss_that_rises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgpt.train.live_doctor.MAX_SHARE", 1.0)
    found = diagnosed(tmp_path, Jump(), doctor=LiveDoctor())
    assert "learning" in [event.category for event in found]
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any(row["event"] == "doctor" and row["category"] == "learning" for row in rows)
