"""The directory format: what has a name is whole, and what is not whole is not used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glassgpt.checkpoint import (
    BadStep,
    hinted,
    newest_valid,
    prune,
    read_state,
    read_tensors,
    save_step,
    set_hint,
    steps,
    verify_step,
)


def save(folder: Path, step: int) -> Path:
    return save_step(folder, step, {"model": {"w": torch.full((4,), float(step))}}, {"best": 1.5})


def test_round_trip(tmp_path: Path) -> None:
    step = save(tmp_path, 7)
    verify_step(step)
    assert read_state(step) == {"format": 1, "step": 7, "best": 1.5}
    assert read_tensors(step, "model")["w"].tolist() == [7.0] * 4
    assert sorted(f.name for f in step.iterdir()) == ["MANIFEST.json", "model.safetensors", "state.json"]


@pytest.mark.parametrize("name", ["MANIFEST.json", "model.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_every_damage_is_noticed_and_the_step_before_is_used(tmp_path: Path, name: str, damage: str) -> None:
    older, newer = save(tmp_path, 1), save(tmp_path, 2)
    file = newer / name
    data = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    elif damage == "truncate":
        file.write_bytes(data[:-1] if name != "MANIFEST.json" else data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    with pytest.raises(BadStep):
        verify_step(newer)
    found, problems = newest_valid(steps(tmp_path))
    assert found == older
    assert len(problems) == 1 and newer.name in problems[0]


def test_a_step_is_never_overwritten(tmp_path: Path) -> None:
    save(tmp_path, 3)
    save_step(tmp_path, 3, {"model": {"w": torch.zeros(4)}}, {})
    assert read_tensors(steps(tmp_path)[0], "model")["w"].tolist() == [3.0] * 4


def test_what_was_left_half_written_is_not_a_step(tmp_path: Path) -> None:
    step = save(tmp_path, 1)
    step.rename(tmp_path / f".writing-{step.name}")
    assert steps(tmp_path) == []
    save(tmp_path, 1)
    assert newest_valid(steps(tmp_path))[0] == tmp_path / step.name


def test_prune_keeps_the_newest_two_and_the_best(tmp_path: Path) -> None:
    paths = [save(tmp_path, n) for n in range(1, 6)]
    set_hint(tmp_path, "best", paths[1])
    prune(tmp_path)
    assert steps(tmp_path) == [paths[4], paths[3], paths[1]]


def test_a_hint_leads_nowhere_else(tmp_path: Path) -> None:
    save(tmp_path / "checkpoints", 1)
    (tmp_path / "checkpoints" / "best").write_text("../elsewhere")
    (tmp_path / "elsewhere").mkdir()
    assert hinted(tmp_path / "checkpoints", "best") is None
    assert hinted(tmp_path / "checkpoints", "none") is None
