"""Imports of mutated folders; import_mutations.py tries thousands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")
TESTS = Path(__file__).parent.parent


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox is written for Linux")
@pytest.mark.parametrize("n", [40, pytest.param(5000, marks=(pytest.mark.slow, pytest.mark.timeout(7200)))])
def test_no_mutation_of_a_folder_is_a_fault(n: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "faults.import_mutations", str(n)]
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    tried = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert tried.returncode == 0, tried.stdout + tried.stderr
