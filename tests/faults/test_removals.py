"""Take any one fsync, atomic rename or check of a hash away, and a test fails: none of them is decoration."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.removals import Removal, removals

ROOT = Path(__file__).parents[2]
TESTS = [  # the quickest first
    "tests/unit/test_atomic_write.py",
    "tests/unit/checkpoint/test_store.py",
    "tests/unit/checkpoint/test_health.py",
    "tests/faults/test_damage.py",
    "tests/faults/test_power_cut.py",
]
ALL = removals()


def outcome(source: Path) -> subprocess.CompletedProcess[str]:
    """The tests with the package from there, up to the first that fails."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )


def test_there_is_something_to_take_away() -> None:
    """At least these: the protocol of a step has five syncs and a rename, small files have two and one."""
    code = [str(each) for each in ALL]
    assert len(code) == len(set(code)) >= 26
    for part, least in (("sync(", 13), ("_write: sync(file)", 1), ("rename(", 3), ("fingerprint(", 2)):
        assert sum(part in each for each in code) >= least, part
    for each in ALL:
        compile(each.changed(), str(each), "exec")
        assert ast.unparse(ast.parse(each.changed())) != ast.unparse(ast.parse(each.file.read_text("utf-8")))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_all_of_them_the_tests_pass() -> None:
    done = outcome(ROOT / "src")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("removal", ALL, ids=str)
def test_without_one_a_test_fails(removal: Removal, tmp_path: Path, count: Callable[[str], None]) -> None:
    done = outcome(removal.make(tmp_path))
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert done.returncode == 1 and failed, f"no test misses it: {done.stdout[-500:]} {done.stderr[-500:]}"
    count(f"without {removal}: {failed[0].split(' - ')[0].removeprefix('FAILED tests/')}")
