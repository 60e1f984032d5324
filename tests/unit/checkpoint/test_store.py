"""The directory format: what has a name is whole, and what is not whole is not used."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch

from glassgpt.checkpoint import (
    CorruptCheckpoint,
    Run,
    newest_valid,
    prune,
    quarantine,
    read_pointer,
    read_state,
    read_tensors,
    save_step,
    steps,
    verify_step,
    write_json,
    write_pointer,
)
from glassgpt.checkpoint.store.atomic import write_new
from glassgpt.checkpoint.store.retention import best_checkpoint
from glassgpt.config import RunConfig
from glassgpt.errors import UserError


def save(folder: Path, step: int) -> Path:
    return save_step(folder, step, {"model": {"w": torch.full((4,), float(step))}}, {"best": 1.5})


def test_round_trip(tmp_path: Path) -> None:
    step = save(tmp_path, 7)
    verify_step(step)
    assert read_state(step) == {"format": 2, "step": 7, "best": 1.5}
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
    with pytest.raises(CorruptCheckpoint):
        verify_step(newer)
    found, problems = newest_valid(steps(tmp_path))
    assert found == older
    assert len(problems) == 1 and newer.name in problems[0]


def test_a_step_is_never_overwritten(tmp_path: Path) -> None:
    save(tmp_path, 3)
    save_step(tmp_path, 3, {"model": {"w": torch.zeros(4)}}, {})
    assert read_tensors(steps(tmp_path)[0], "model")["w"].tolist() == [3.0] * 4


def test_a_step_that_is_there_already_must_be_whole(tmp_path: Path) -> None:
    """A reader who is told that a step is saved may rely on it, from any process."""
    file = save(tmp_path, 3) / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorruptCheckpoint, match="SHA-256"):
        save(tmp_path, 3)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file was synced")
def test_a_step_that_is_there_already_may_not_be_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 3)
    disk = Disk(tmp_path, monkeypatch)
    save(tmp_path, 3)
    assert disk.log == [("sync", ".")]


def test_a_disk_that_fills_up_is_said_with_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    save(tmp_path, 1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"No space left on device: it takes 16 bytes, and [\d,]+ are free"):
        save(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000000001"]


def test_what_was_left_half_written_is_not_a_step(tmp_path: Path) -> None:
    step = save(tmp_path, 1)
    step.rename(tmp_path / f".writing-{step.name}")
    assert steps(tmp_path) == []
    save(tmp_path, 1)
    assert newest_valid(steps(tmp_path))[0] == tmp_path / step.name


def test_prune_keeps_the_newest_two_and_the_best(tmp_path: Path) -> None:
    paths = [save(tmp_path, n) for n in range(1, 6)]
    write_pointer(tmp_path, "best", paths[1])
    prune(tmp_path)
    assert steps(tmp_path) == [paths[4], paths[3], paths[1]]


def test_a_hint_leads_nowhere_else(tmp_path: Path) -> None:
    save(tmp_path / "checkpoints", 1)
    (tmp_path / "checkpoints" / "best").write_text("../elsewhere")
    (tmp_path / "elsewhere").mkdir()
    assert read_pointer(tmp_path / "checkpoints", "best") is None
    assert read_pointer(tmp_path / "checkpoints", "none") is None


def test_no_step_is_half_removed_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill in the middle of pruning."""
    paths = [save(tmp_path, n) for n in range(1, 5)]
    monkeypatch.setattr("glassgpt.checkpoint.store.atomic.shutil.rmtree", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prune(tmp_path)
    monkeypatch.undo()
    assert [newest_valid([step])[1] for step in steps(tmp_path)] == [[]] * 3
    prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in paths[2:]]


def test_damaged_steps_do_not_count_as_kept(tmp_path: Path) -> None:
    paths = [save(tmp_path, n) for n in range(1, 5)]
    (paths[3] / "model.safetensors").write_bytes(b"no")
    prune(tmp_path)
    assert steps(tmp_path) == [paths[3], paths[2], paths[1]]
    assert newest_valid(steps(tmp_path))[0] == paths[2]


def test_the_best_is_remembered_by_the_states_where_the_hint_is_lost(tmp_path: Path) -> None:
    paths = [save_step(tmp_path, n, {"model": {}}, {"best_step": "step-0000000001"}) for n in range(1, 5)]
    prune(tmp_path)
    assert best_checkpoint(tmp_path) == paths[0]
    assert steps(tmp_path) == [paths[3], paths[2], paths[0]]
    save_step(tmp_path, 5, {"model": {}}, {"best_step": "../elsewhere"})
    assert best_checkpoint(tmp_path) is None


def test_set_aside_twice(tmp_path: Path) -> None:
    for _ in range(2):
        quarantine(save(tmp_path, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["damaged-step-0000000001"]


def test_a_link_where_something_is_written_aside_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "a").write_text("mine")
    for name in (".best.writing", "best"):
        (tmp_path / name).symlink_to(precious / "a")
    (tmp_path / ".writing-step-0000000001").symlink_to(precious)
    step = save(tmp_path, 1)
    write_pointer(tmp_path, "best", step)
    assert read_pointer(tmp_path, "best") == step and not step.is_symlink()
    assert (precious / "a").read_text() == "mine" and len(list(precious.iterdir())) == 1


def test_a_new_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "a").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", "theirs")
    assert (tmp_path / "precious").read_text() == "mine"


class Disk:
    """Notes, in order, what is synced and what is renamed, as paths below a folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.log = folder, []
        fsync, rename, replace = os.fsync, os.rename, os.replace
        monkeypatch.setattr(os, "fsync", lambda fd: (self.note("sync", f"/proc/self/fd/{fd}"), fsync(fd)))
        monkeypatch.setattr(os, "rename", lambda a, b: (self.note("rename", b), rename(a, b)))
        monkeypatch.setattr(os, "replace", lambda a, b: (self.note("rename", b), replace(a, b)))

    def note(self, what: str, path: str | Path) -> None:
        real = os.readlink(path) if str(path).startswith("/proc") else str(path)
        self.log.append((what, os.path.relpath(real, self.folder)))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file was synced")
def test_the_order_in_which_a_step_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All bytes before the names, all names before the step's own, that before the folder's sync."""
    disk = Disk(tmp_path, monkeypatch)
    save(tmp_path / "run" / "checkpoints", 1)
    aside, step = ".writing-step-0000000001", "step-0000000001"
    where = "run/checkpoints"
    assert [entry for entry in disk.log if "/.writing" not in entry[1] or entry[0] == "sync"] == [
        ("sync", "."),
        ("sync", "run"),
        ("sync", f"{where}/{aside}/model.safetensors"),
        ("sync", f"{where}/{aside}/state.json"),
        ("sync", f"{where}/{aside}/MANIFEST.json"),
        ("sync", f"{where}/{aside}"),
        ("rename", f"{where}/{step}"),
        ("sync", where),
    ]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file was synced")
def test_the_order_in_which_small_files_reach_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = save(tmp_path, 1)
    disk = Disk(tmp_path, monkeypatch)
    write_json(tmp_path / "verdict.json", {"a": 1})
    write_pointer(tmp_path, "best", step)
    expected = []
    for name in ("verdict.json", "best"):
        expected += [("sync", f".{name}.writing"), ("rename", name), ("sync", ".")]
    assert disk.log == expected
    disk.log.clear()
    quarantine(step)
    assert disk.log == [("rename", f"damaged-{step.name}"), ("sync", ".")]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.json"
    write_json(file, {"a": 1})

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(file, {"a": 2})
    assert json.loads(file.read_text()) == {"a": 1}
    monkeypatch.undo()
    write_json(file, {"a": 3})
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file was synced")
def test_a_new_run_has_its_name_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the folder was made before, for its lock."""
    (tmp_path / "runs" / "notes").mkdir(parents=True)
    disk = Disk(tmp_path, monkeypatch)
    Run.create(tmp_path / "runs" / "notes", RunConfig.model_validate({}))
    assert {".", "runs", "runs/notes", "runs/notes/.config.json.writing"} == {
        path for what, path in disk.log if what == "sync"
    }


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file was synced")
def test_all_else_of_a_run_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path)
    run.data.mkdir()
    for name in ("tokenizer.json", "data/train.bin"):
        (tmp_path / name).write_text("x")
    disk = Disk(tmp_path, monkeypatch)
    run.sync()
    assert {path for _, path in disk.log} == {".", "data", "data/train.bin", "tokenizer.json"}
