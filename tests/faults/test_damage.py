"""Files of a step that a disk or a hand has changed: each change is noticed, and the step before is used."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults.crash import Server, Weights, assert_ends_like, newest
from glassgpt.checkpoint import CorruptCheckpoint, newest_valid, steps, verify_step

Count = Callable[[str], None]


@pytest.fixture(scope="module")
def run(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two steps."""
    run = tmp_path_factory.mktemp("damage") / "run"
    assert server.train(run).code == 0
    assert len(steps(run / "checkpoints")) == 2
    return run


def files_of(run: Path) -> list[Path]:
    """The files of the newest step."""
    files = sorted(steps(run / "checkpoints")[0].iterdir())
    assert len(files) == 4
    return files


@contextmanager
def changed(file: Path, content: bytes) -> Iterator[None]:
    before = file.read_bytes()
    assert content != before
    file.write_bytes(content)
    try:
        yield
    finally:
        file.write_bytes(before)


def flipped(content: bytes, bit: int) -> bytes:
    return content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]


def assert_noticed(run: Path, what: str) -> None:
    damaged, whole = steps(run / "checkpoints")
    with pytest.raises(CorruptCheckpoint):
        verify_step(damaged)
        pytest.fail(f"not noticed: {what}")
    found, problems = newest_valid(steps(run / "checkpoints"))
    assert found == whole and len(problems) == 1 and damaged.name in problems[0]


def test_every_truncation_is_noticed(run: Path, count: Count) -> None:
    n = 0
    for file in files_of(run):
        content = file.read_bytes()
        for size in range(0, len(content), 1000):
            with changed(file, content[:size]):
                assert_noticed(run, f"{file.name} cut to {size} bytes")
            n += 1
    count(f"truncation at every 1 kB of every file: {n} of {n} noticed")


@pytest.mark.parametrize("n", [15, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_flipped_bit_is_noticed(run: Path, n: int, count: Count) -> None:
    dice = random.Random(n)
    for file in files_of(run):
        content = file.read_bytes()
        for _ in range(n):
            bit = dice.randrange(8 * len(content))
            with changed(file, flipped(content, bit)):
                assert_noticed(run, f"bit {bit} of {file.name}")
    count(f"random flips of a bit, {n} in each file: {4 * n} of {4 * n} noticed")


@pytest.mark.slow
def test_every_bit_of_the_manifest_counts(run: Path, count: Count) -> None:
    file = steps(run / "checkpoints")[0] / "MANIFEST.json"
    content = file.read_bytes()
    for bit in range(8 * len(content)):
        with changed(file, flipped(content, bit)):
            assert_noticed(run, f"bit {bit} of the manifest")
    count(f"each bit of the manifest flipped: {8 * len(content)} of {8 * len(content)} noticed")


@pytest.mark.parametrize(
    "name", ["MANIFEST.json", "model.safetensors", "optimizer.safetensors", "state.json"]
)
def test_a_missing_file_is_noticed(run: Path, name: str) -> None:
    file = steps(run / "checkpoints")[0] / name
    content = file.read_bytes()
    file.unlink()
    try:
        assert_noticed(run, f"{name} is gone")
    finally:
        file.write_bytes(content)


@pytest.mark.parametrize("n", [3, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_resuming_trains_a_damaged_step_anew(
    run: Path, server: Server, reference: dict[str, Weights], tmp_path: Path, n: int, count: Count
) -> None:
    dice = random.Random(n)
    for trial in range(n):
        copy = tmp_path / f"{trial}"
        shutil.copytree(run, copy)
        (copy / "verdict.json").unlink()
        file = dice.choice(files_of(copy))
        content = file.read_bytes()
        if trial % 2:
            file.write_bytes(content[: dice.randrange(len(content))])
        else:
            file.write_bytes(flipped(content, dice.randrange(8 * len(content))))
        damaged = file.parent.name
        ended = server.resume(copy)
        assert ended.went_on and damaged in ended.output, ended.output
        assert newest(copy)[0] == damaged
        assert_ends_like(copy, reference)
    count(f"damaged step trained anew from the one before: {n} of {n} bit-equal")


@pytest.mark.parametrize("name", ["train.bin", "val.bin"])
def test_changed_data_are_noticed(run: Path, server: Server, tmp_path: Path, name: str) -> None:
    """Zeros of the right length, as a power cut leaves them, must not be trained on in silence."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    file = copy / "data" / name
    file.write_bytes(bytes(file.stat().st_size))
    ended = server.resume(copy, None, "--steps", "8")
    assert ended.code == 2 and name in ended.output, ended.output


def test_without_the_hashes_a_flipped_bit_goes_unnoticed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above rest on the SHA-256: with nothing but sizes compared, they fail."""

    def sizes_only(step: Path) -> None:
        files = json.loads((step / "MANIFEST.json").read_text())["files"]
        if any((step / name).stat().st_size != facts["bytes"] for name, facts in files.items()):
            raise CorruptCheckpoint(step)

    file = steps(run / "checkpoints")[0] / "model.safetensors"
    content = file.read_bytes()
    monkeypatch.setattr("glassgpt.checkpoint.store.step.verify_step", sizes_only)
    with changed(file, flipped(content, 8 * len(content) - 1)), pytest.raises(AssertionError):
        found, _ = newest_valid(steps(run / "checkpoints"))
        assert found != file.parent
