"""`--minutes` count from the start of the process, before Python and its imports."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from glassgpt.cli import process_start as module
from glassgpt.cli.process_start import began, command_began, process_start


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
def test_the_kernel_knows_when_the_process_began() -> None:
    code = """
import time
time.sleep(0.5)
from glassgpt.cli.process_start import process_start
print(process_start())
"""
    before = time.monotonic()
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert before - 0.02 <= float(out) < time.monotonic() - 0.5


@pytest.mark.parametrize(
    "content", ["", "7 (a b) S", f"7 (a) b) {'x ' * 30}", f"7 (a) {'9' * 15 + ' '}" * 30]
)
def test_a_strange_record_counts_from_the_import(tmp_path: Path, content: str) -> None:
    (tmp_path / "stat").write_text(content)
    assert process_start(tmp_path / "stat") == module._IMPORTED
    assert process_start(tmp_path / "missing") == module._IMPORTED


def test_the_command_began_when_main_says(monkeypatch: pytest.MonkeyPatch) -> None:
    token = command_began.set(7.0)
    assert began() == 7.0
    command_began.reset(token)
