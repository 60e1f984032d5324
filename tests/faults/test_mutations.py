"""Every command on runs with mutated files; mutations.py tries thousands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox is written for Linux")
@pytest.mark.parametrize(
    ("n", "n_commands"), [(36, 2), pytest.param(1000, 4, marks=(pytest.mark.slow, pytest.mark.timeout(3600)))]
)
def test_no_mutation_of_a_run_is_a_fault(n: int, n_commands: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "faults.mutations", str(n), "--commands", str(n_commands)]
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    tried = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert tried.returncode == 0, tried.stdout + tried.stderr
