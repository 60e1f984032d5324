"""The shim, the server of processes and the unbroken run, made once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.calls import read_log
from faults.crash import Server, Weights
from faults.disk import committed


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fault injector, compiled."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the fault injector is written for Linux")
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("the fault injector needs a C compiler (cc)")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    flags = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    made = subprocess.run([compiler, *flags, "-o", library, source], capture_output=True, text=True)
    if "only for x86-64 and AArch64" in made.stderr:
        pytest.skip("the fault injector is written for x86-64 and AArch64")
    assert made.returncode == 0, made.stderr
    return library


@pytest.fixture(scope="session")
def server(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Processes that train; skipped where a sandbox does not let them watch themselves."""
    server = Server(tmp_path_factory.mktemp("server"), shim)
    ended = server.wait(server.spawn(["--version"]))
    try:
        if "refuses a seccomp filter" in ended.output:
            pytest.skip(ended.output.splitlines()[-1])
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def reference(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Weights]:
    """The weights of each step of a run that nothing disturbed."""
    run = tmp_path_factory.mktemp("reference") / "run"
    return committed(run, read_log(server.logged(run)))
