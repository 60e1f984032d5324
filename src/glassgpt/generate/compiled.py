"""blocks.c, built once by this machine's C compiler: the pass over a model's weights that writes a token.

Where there is no compiler, or what it makes cannot be loaded, `load` gives None and torch's kernels do the
same, slower. Not a way to compile models: decisions/0027.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from ctypes import Structure, byref, c_int32, c_void_p
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from platformdirs import user_cache_path
from torch import Tensor

SOURCE = Path(__file__).with_name("blocks.c")
FLAGS = ("-O3", "-march=native", "-fopenmp", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
PATIENCE = 60
"""Seconds that a compiler may take; it takes one."""


class Matrix(Structure):
    """The struct of that name in blocks.c."""

    _fields_ = (
        ("table", c_void_p),
        ("bias", c_void_p),
        ("N", c_int32),
        ("C", c_int32),
        ("per_word", c_int32),
    )


@cache
def load() -> ctypes.CDLL | None:
    """What the compiler made of blocks.c, on Linux; None where that cannot be had."""
    if sys.platform != "linux":
        return None
    try:
        library = ctypes.CDLL(str(_built()))
    except (OSError, subprocess.SubprocessError):
        return None
    library.multiply.restype = library.run_blocks.restype = None
    return library


def multiply(library: ctypes.CDLL, matrix: Matrix, x: Tensor) -> Tensor:
    """x (R, C) contiguous -> x Wᵀ + b, (R, N)."""
    y = x.new_empty(x.shape[0], matrix.N)
    rows, threads = x.shape[0], torch.get_num_threads()
    library.multiply(byref(matrix), rows, c_void_p(x.data_ptr()), c_void_p(y.data_ptr()), threads)
    return y


def address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _built() -> Path:
    """The library, from the user's cache or built into it. Raises OSError or SubprocessError."""
    known = [SOURCE.read_bytes(), " ".join(FLAGS).encode(), platform.machine().encode(), _processor()]
    folder = user_cache_path("glassgpt") / "compiled"
    path = folder / f"blocks-{hashlib.sha256(b'|'.join(known)).hexdigest()[:16]}.so"
    if path.exists():
        return path
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as aside:
        made, linked = Path(aside, "blocks.o"), Path(aside, "blocks.so")
        _run(compiler, *FLAGS, "-c", SOURCE, "-o", made)
        # Without -fopenmp: torch has loaded its threads already, and a second team would fight with them.
        _run(compiler, "-shared", made, "-o", linked)
        linked.replace(path)  # at once, for processes that build at the same time
    return path


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)


def _processor() -> bytes:
    """What the first processor is and can: a home may be shared among machines that differ."""
    with open("/proc/cpuinfo", "rb") as lines:
        about = [line for line in iter(lines.readline, b"\n") if line]
    return b"".join(line for line in about if line.startswith((b"model name", b"flags", b"Features")))
