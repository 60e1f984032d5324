"""blocks.c under the address and undefined behavior sanitizers, over the random cases of the engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glassgpt.generate.fast.compiler import compiler_command
from helpers.zoo import has_compiler

FLAGS = (
    "-g -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer"
)
TESTS = ("equivalence/test_generation.py", "equivalence/test_engine_fuzz.py", "unit/generate/test_native.py")
FAULTS = {
    "heap-buffer-overflow": (
        "    const int C = g->n_embd, n_qkv",
        "    work[-1] = 1; const int C = g->n_embd, n_qkv",
    ),
    "outside the range of representable values": ("(whole == whole ? whole : 0)", "whole"),
}
"""One edit of the source for each sanitizer, to see that it would tell."""


def libraries() -> list[str]:
    """Paths of the sanitizers' libraries, which Python itself is not linked with."""
    names = ("libasan.so", "libubsan.so")
    command = compiler_command()
    found = [
        subprocess.run([*command, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        for name in names
    ]
    return [path for path in found if Path(path).is_absolute()]


def run_sanitized(cache: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python with a library that is built with sanitizers."""
    environment = {
        **os.environ,
        "CC": " ".join([*compiler_command(), FLAGS]),
        "XDG_CACHE_HOME": str(cache),
        "LD_PRELOAD": " ".join(libraries()),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own are many
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "OMP_NUM_THREADS": "1",  # test_native.py sets others itself
        "GOMP_SPINCOUNT": "0",
    }
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=2400
    )


@pytest.mark.slow
@pytest.mark.timeout(2500)
@pytest.mark.skipif(not has_compiler(), reason="no C compiler, or not on Linux")
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    if len(libraries()) < 2:
        pytest.skip("the compiler has no sanitizers")
    tests = [Path(__file__).parents[1] / name for name in TESTS]
    done = run_sanitized(
        tmp_path,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-k",
        "not torch",
        "-o",
        "timeout=0",
        "-p",
        "no:cacheprovider",
        *tests,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert len(list((tmp_path / "glassgpt" / "native").glob("*.so"))) == 1


PROBE = """
import sys
import torch
from pathlib import Path
from glassgpt.config import ModelConfig
from glassgpt.generate import Engine, Request
from glassgpt.generate.fast import build, native
from glassgpt.models import build as build_model
build.SOURCE = Path(sys.argv[1])
assert native.load() is not None, native.why_not_native()
model = build_model(ModelConfig.model_validate(dict(size="nano", preset="modern")), 65)
with torch.no_grad():
    for p in model.parameters():
        p.mul_(1e18)
list(Engine(model).stream(Request([1, 2, 3], max_new_tokens=4)))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.skipif(not has_compiler(), reason="no C compiler, or not on Linux")
def test_sanitizers_find_a_planted_fault(fault: str, tmp_path: Path) -> None:
    from glassgpt.generate.fast.build import SOURCE

    if len(libraries()) < 2:
        pytest.skip("the compiler has no sanitizers")
    old, new = FAULTS[fault]
    source = SOURCE.read_text("utf-8")
    assert source.count(old) == 1
    path = tmp_path / "blocks.c"
    path.write_text(source.replace(old, new), "utf-8")
    done = run_sanitized(tmp_path / "cache", "-c", PROBE, path)
    assert done.returncode != 0 and fault in done.stderr, done.stderr[-4000:]
