"""The least limit counts: of the machine, of the container and all groups above it, of the shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glassgpt.ram import cgroup_limits, memory_bytes

NONE = 9223372036854771712
"""A group of version 1 without a limit."""


def write(root: Path, files: dict[str, object]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root / "proc", root / "sys"


def test_this_machine_has_ram() -> None:
    assert memory_bytes() > 1 << 28


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        ({"proc": "0::/a/b", "sys/a/b/memory.max": "max", "sys/a/memory.max": 500}, [500]),
        ({"proc": "0::/", "sys/memory.max": 700}, [700]),  # a container that sees itself as the root
        ({"proc": "0::/outside/here", "sys/memory.max": 700}, [700]),
        (
            {
                "proc": "4:memory:/a\n2:cpu,cpuacct:/a\n0::/",
                "sys/memory/a/memory.limit_in_bytes": 900,
                "sys/memory/memory.limit_in_bytes": NONE,
            },
            [900, NONE],
        ),
        ({"proc": "3:cpu,memory:/\n0::/x", "sys/unified/x/memory.max": 800}, [800]),
        ({}, []),
    ],
)
def test_limits_of_control_groups(files: dict[str, object], limits: list[int], tmp_path: Path) -> None:
    assert list(cgroup_limits(*write(tmp_path, files))) == limits


@pytest.mark.skipif(sys.platform == "win32", reason="no ulimit")
def test_a_limit_of_the_shell() -> None:
    code = "from glassgpt.ram import memory_bytes; print(memory_bytes())"
    done = subprocess.run(
        ["/bin/sh", "-c", f'ulimit -v 1000000 && "{sys.executable}" -c "{code}"'],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert int(done.stdout) <= 1_024_000_000, done.stderr
