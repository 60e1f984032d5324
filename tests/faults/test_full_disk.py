"""A disk that is full from any moment on, or fails once: saved steps stay, and the run says why it ends."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.calls import n_calls
from faults.crash import (
    DISK_FULL,
    FAIL_ONCE,
    Ended,
    Fault,
    Server,
    Weights,
    assert_ends_like,
    newest,
    stale_files,
    weights_of,
)
from glassgpt.train.saver import SPARE_BYTES

Count = Callable[[str], None]
KINDS = {"full": (DISK_FULL, errno.ENOSPC), "broken": (FAIL_ONCE, errno.EIO)}


@dataclass(frozen=True)
class Failed:
    """A run whose disk failed at one system call."""

    run: Path
    ended: Ended
    left: list[str]


@pytest.fixture(
    scope="module", params=[0.05, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def share(request: pytest.FixtureRequest) -> float:
    """Of the system calls of a run, how many are tried."""
    return request.param


@pytest.fixture(scope="module", params=KINDS)
def disk(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def failed(server: Server, tmp_path_factory: pytest.TempPathFactory, share: float, disk: str) -> list[Failed]:
    """Runs that each met the failure at another system call."""
    folder, (mode, error) = tmp_path_factory.mktemp(disk), KINDS[disk]
    server.train(folder / "whole", Fault(str(folder / "whole"), log=str(folder / "log")))
    calls = n_calls(folder / "log")
    runs = []
    for number in sorted(random.Random(1).sample(range(1, calls + 1), int(share * calls))):
        run = folder / f"{number}"
        ended = server.train(run, Fault(str(run), mode, number, error))
        runs.append(Failed(run, ended, stale_files(run)))
    return runs


def test_no_step_is_lost(
    failed: list[Failed], reference: dict[str, Weights], server: Server, disk: str, count: Count
) -> None:
    resumed = 0
    for case in failed:
        name, problems = newest(case.run)
        assert not problems, case
        if not name:
            continue
        assert weights_of(case.run / "checkpoints" / name) == reference[name], case
        again = server.resume(case.run)
        assert again.went_on, f"{case}: {again}"
        assert_ends_like(case.run, reference)
        resumed += 1
    assert resumed > len(failed) / 2
    count(f"{disk} disk: {len(failed)} points, {resumed} after a first save and resumed bit-equal, 0 lost")


def test_the_run_says_why_it_ends_and_clears_up(failed: list[Failed], disk: str, count: Count) -> None:
    reason, wrong = os.strerror(KINDS[disk][1]), []
    for case in failed:
        said = case.ended.code == 2 and reason in case.ended.output
        if case.ended.crashed or not (said or case.ended.code == 0):
            wrong.append(f"{case.run.name}: {case.ended.output[-200:]}")
        elif case.left and disk == "full":  # where any call may fail, the one that clears up may be it
            wrong.append(f"{case.run.name}: {case.left}")
    assert not wrong, f"{len(wrong)} of {len(failed)}: {wrong[:3]}"
    count(
        f"{disk} disk: {len(failed)} of {len(failed)} points end with the reason, or need no space any more"
    )


@contextmanager
def small_disk(folder: Path, n_bytes: int) -> Iterator[Path]:
    """A file system of that size, in memory; skipped where one may not be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("n", [4, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_disk_of_any_size(
    server: Server, reference: dict[str, Weights], tmp_path: Path, n: int, count: Count
) -> None:
    """From one that holds nothing to one that holds all: what was saved goes on, on a larger one."""
    assert server.train(tmp_path / "whole").code == 0
    whole = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file())
    resumed = failed = 0
    for i in range(n):
        run = tmp_path / f"{i}"
        with small_disk(tmp_path / f"disk-{i}", (i + 1) * (2 * whole + 2 * SPARE_BYTES) // n) as disk:
            ended = server.train(disk / "run")
            assert not ended.crashed and ended.code in (0, 2), ended.output
            if ended.code:
                assert os.strerror(errno.ENOSPC) in ended.output or "MB free" in ended.output, ended.output
                failed += 1
            if (disk / "run").exists():
                assert not [path for path in stale_files(disk / "run") if "step" in path]
                shutil.copytree(disk / "run", run)
        name, problems = newest(run)
        assert not problems
        if name:
            assert weights_of(run / "checkpoints" / name) == reference[name]
            assert server.resume(run).went_on
            assert_ends_like(run, reference)
            resumed += 1
    assert failed and resumed
    count(
        f"small disks: {n} sizes, {failed} of them full, {resumed} with a step and resumed bit-equal, 0 lost"
    )
