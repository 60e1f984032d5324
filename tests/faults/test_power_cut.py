"""A power cut at any moment, on a disk that keeps of unsynced data and names only what it likes.

Each rule of the protocol is also taken away from the log of what the program did, one at a time: the same
trials must then find a lost or broken step, or the rule would be decoration.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from faults.calls import Record, read_log
from faults.crash import Server, Weights, assert_ends_like, newest, weights_of
from faults.disk import Disk, committed

Count = Callable[[str], None]


@dataclass(frozen=True)
class Logged:
    """A run on disk, a copy of it from before its training, and all that the training did to the disk."""

    run: Path
    before: Path | None
    records: list[Record]

    def cut(self, seed: int, into: Path) -> str:
        """What a power cut leaves; returns the newest step that had been announced as saved."""
        disk = Disk(self.run, self.before)
        disk.replay(self.records[: random.Random(seed).randint(0, len(self.records))])
        disk.cut(seed, into)
        return max(disk.marks, default="")

    def loss(self, seed: int, into: Path, steps: dict[str, Weights]) -> str:
        """What one power cut costs; "" when nothing."""
        announced = self.cut(seed, into)
        name, problems = newest(into)
        if problems:
            return f"a step is broken: {problems[0].removeprefix(str(into))}"
        if name < announced:
            return f"{announced} was saved, and now there is only {name or 'nothing'}"
        if name and weights_of(into / "checkpoints" / name) != steps[name]:
            return f"{name} is not what was saved"
        return ""


@pytest.fixture(scope="module")
def logged(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    folder = tmp_path_factory.mktemp("logged")
    log = server.logged(folder / "run", before=folder / "before")
    return Logged(folder / "run", folder / "before", read_log(log))


@pytest.mark.parametrize(
    ("n", "n_resumed"), [(40, 4), pytest.param(500, 500, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_no_saved_step_is_lost(
    logged: Logged,
    reference: dict[str, Weights],
    server: Server,
    tmp_path: Path,
    n: int,
    n_resumed: int,
    count: Count,
) -> None:
    resumed = 0
    for seed in range(n):
        left = tmp_path / f"{seed}"
        assert not (loss := logged.loss(seed, left, reference)), f"seed {seed}: {loss}"
        if newest(left)[0] and resumed < n_resumed:
            ended, resumed = server.resume(left), resumed + 1
            assert ended.went_on, ended.output
            assert_ends_like(left, reference)
        shutil.rmtree(left)
    count(f"power cut: {n} seeds, 0 steps lost; {resumed} resumed bit-equal")


@pytest.mark.parametrize("n", [40, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_run_with_a_saved_step_has_all_that_resuming_needs(
    server: Server, tmp_path: Path, n: int, count: Count
) -> None:
    """The configuration, the tokenizer and the data, too, are safe before the first step is announced."""
    log = server.logged(tmp_path / "run")
    logged = Logged(tmp_path / "run", None, read_log(log))
    steps = committed(logged.run, logged.records)
    needed = ["config.json", "tokenizer.json", "data/train.bin", "data/val.bin", "data/manifest.json"]
    for seed in range(n):
        left = tmp_path / f"{seed}"
        assert not (loss := logged.loss(seed, left, steps)), f"seed {seed}: {loss}"
        if newest(left)[0]:
            for name in needed:
                assert (left / name).read_bytes() == (logged.run / name).read_bytes(), f"seed {seed}: {name}"
        shutil.rmtree(left)
    count(f"power cut from the start of a run: {n} seeds, 0 runs lost")


def _without_sync(is_it: Callable[[Path], bool]) -> Callable[[list[Record]], list[Record]]:
    return lambda records: [r for r in records if not (r.kind == "sync" and is_it(Path(r.path)))]


def _copied_instead_of_renamed(records: list[Record]) -> list[Record]:
    """Each step gets its name by a careful copy, every file of it synced, rather than by a rename."""
    return [new for index, _ in enumerate(records) for new in _copied(records, index)]


def _copied(records: list[Record], index: int) -> Iterator[Record]:
    record = records[index]
    if record.kind != "rename" or not Path(record.path2).name.startswith("step-"):
        yield record
        return
    contents: dict[str, bytes] = {}
    for earlier in records[:index]:
        if earlier.path.startswith(record.path + "/"):
            if earlier.kind == "write":
                contents[earlier.path] = contents.get(earlier.path, b"")[: earlier.value] + earlier.data
            elif earlier.kind == "rename":
                contents[earlier.path2] = contents.pop(earlier.path)
    yield replace(record, kind="mkdir", path=record.path2, path2="")
    for path, data in contents.items():
        target = record.path2 + path.removeprefix(record.path)
        yield Record("open", target, value=os.O_CREAT)
        yield Record("write", target, data=data)
        yield Record("sync", target)
    yield Record("sync", record.path2)


TAKEN_AWAY = {
    "fsync of the tensors": _without_sync(lambda path: path.suffix == ".safetensors"),
    "fsync of the state": _without_sync(lambda path: path.name == "state.json"),
    "fsync of the manifest": _without_sync(lambda path: path.name == "MANIFEST.json"),
    "fsync of the step's folder": _without_sync(lambda path: path.name.startswith(".writing-")),
    "fsync of the folder of steps": _without_sync(lambda path: path.name == "checkpoints"),
    "rename": _copied_instead_of_renamed,
}


@pytest.mark.parametrize("rule", TAKEN_AWAY)
def test_without_a_rule_something_is_lost(
    logged: Logged, reference: dict[str, Weights], tmp_path: Path, rule: str, count: Count
) -> None:
    mutant = replace(logged, records=TAKEN_AWAY[rule](logged.records))
    assert mutant.records != logged.records
    for seed in range(500):
        if loss := mutant.loss(seed, tmp_path / f"{seed}", reference):
            count(f"without {rule}: seed {seed} finds that {loss[:100]}")
            return
        shutil.rmtree(tmp_path / f"{seed}")
    pytest.fail(f"500 power cuts find nothing wrong without {rule}")
