"""blocks.c, built once by this machine's C compiler: the pass over a model's weights that writes a token.

Where there is no compiler, or what it makes cannot be loaded, `load` gives None and torch's kernels do the
same, slower. Not a way to compile models: decisions/0027.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from ctypes import Structure, byref, c_int32, c_void_p
from functools import cache
from itertools import takewhile
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


def load() -> ctypes.CDLL | None:
    """What the compiler made of blocks.c; None where that cannot be had (see `why_not`)."""
    found = _library()
    return None if isinstance(found, str) else found


def why_not() -> str | None:
    """Why torch's kernels do the work, in words for a user; None where they need not."""
    found = _library()
    return found if isinstance(found, str) else None


def multiply(library: ctypes.CDLL, matrix: Matrix, x: Tensor) -> Tensor:
    """x (R, C) contiguous -> x Wᵀ + b, (R, N)."""
    y = x.new_empty(x.shape[0], matrix.N)
    rows, threads = x.shape[0], torch.get_num_threads()
    library.multiply(byref(matrix), rows, c_void_p(x.data_ptr()), c_void_p(y.data_ptr()), threads)
    return y


def command() -> list[str]:
    """What $CC names, or `cc`; perhaps with options, perhaps not there."""
    return shlex.split(os.environ.get("CC") or "cc")


class _NoCompilerError(Exception):
    """Nothing of the compiler's name is on the path."""


@cache
def _library() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    if sys.platform != "linux":
        return "so far only on Linux"
    compiler = command()
    try:
        library = ctypes.CDLL(str(_built(compiler)))
    except _NoCompilerError:
        return f"there is no C compiler `{compiler[0]}`: install gcc, or name one in $CC"
    except subprocess.CalledProcessError as error:
        return f"`{compiler[0]}` failed: {(error.stderr.strip().splitlines() or ['without a word'])[-1]}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"what `{compiler[0]}` makes cannot be kept or loaded: {error}"
    library.multiply.restype = library.run_blocks.restype = None
    return library


def _built(compiler: list[str]) -> Path:
    """The library, from the user's cache or built into it. Raises whatever `_library` catches."""
    known = [SOURCE.read_text("utf-8"), *FLAGS, platform.machine(), _processor()]
    name = hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]
    folder = user_cache_path("glassgpt") / "compiled"
    path = folder / f"blocks-{name}.so"
    if path.exists():
        if path.stat().st_uid not in (0, os.getuid()):  # code of somebody else's, in a folder for all
            raise PermissionError(f"{path} belongs to somebody else")
        return path
    if shutil.which(compiler[0]) is None:
        raise _NoCompilerError
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as aside:
        made, linked = Path(aside, "blocks.o"), Path(aside, "blocks.so")
        _run(*compiler, *FLAGS, "-c", SOURCE, "-o", made)
        # Without -fopenmp: torch has loaded its threads already, and a second team would fight with them.
        _run(*compiler, "-shared", made, "-o", linked)
        linked.replace(path)  # at once, for processes that build at the same time
    return path


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)


def _processor() -> str:
    """What the first processor is and can: a home may be shared among machines that differ."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        about = list(takewhile(str.strip, lines))
    return "".join(line for line in about if line.startswith(("model name", "flags", "Features")))
