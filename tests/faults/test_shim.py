"""The fault injector itself: it must see every change on disk, or the tests that use it prove nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from faults.calls import read_log
from faults.crash import (
    DISK_FULL,
    KILL_AFTER,
    KILL_BEFORE,
    KILL_WITHIN,
    Fault,
    Server,
    Weights,
    assert_ends_like,
)
from faults.disk import Disk


def test_the_log_alone_rebuilds_the_whole_run(server: Server, tmp_path: Path) -> None:
    """Rust's writes, its rename by a raw system call, Python's: every file comes out of the log as it is."""
    log = server.logged(tmp_path / "run")
    records, disk = read_log(log), Disk(tmp_path / "run")
    assert not [record for record in records if record.kind == "other"]
    disk.replay(records)
    files = {str(p.relative_to(tmp_path / "run")) for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert any(name.endswith("model.safetensors") for name in files)
    live = disk.files()
    assert live.keys() == files
    assert all(live[name] == (tmp_path / "run" / name).read_bytes() for name in files)


@pytest.mark.parametrize("mode", [KILL_BEFORE, KILL_AFTER, KILL_WITHIN])
def test_it_kills(server: Server, tmp_path: Path, mode: int) -> None:
    assert server.train(tmp_path / "run", Fault(str(tmp_path / "run"), mode, 30)).code == -9


def test_it_fails_calls(server: Server, tmp_path: Path) -> None:
    fault = Fault(str(tmp_path / "run"), DISK_FULL, 1, errno.EDQUOT)
    assert server.train(tmp_path / "run", fault).code == 2


def test_two_unbroken_runs_are_equal(server: Server, reference: dict[str, Weights], tmp_path: Path) -> None:
    """What the comparisons of all other tests rest on."""
    assert server.train(tmp_path / "run").code == 0
    assert_ends_like(tmp_path / "run", reference)
    assert len(reference) == 6 and len({step["model.safetensors"] for step in reference.values()}) == 6
