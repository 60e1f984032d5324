"""Build and load blocks.c, once per machine, with its C compiler.

blocks.c runs the blocks of a GPT for new tokens. If it cannot be built or loaded, `load` returns None, and
torch's kernels do the same, slower. It does not compile models: decisions/0027.
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
TIMEOUT = 60
"""Seconds that a compiler may take; usually it takes one."""


class MatrixStruct(Structure):
    """`Matrix` in blocks.c."""

    _fields_ = (
        ("table", c_void_p),
        ("bias", c_void_p),
        ("N", c_int32),
        ("C", c_int32),
        ("per_word", c_int32),
    )


def load() -> ctypes.CDLL | None:
    """Return the library, built if needed; None if that fails (see `why_not_native`)."""
    found = _library()
    return None if isinstance(found, str) else found


def why_not_native() -> str | None:
    """Return the reason for torch's kernels, for users; None if native code works."""
    found = _library()
    return found if isinstance(found, str) else None


def multiply(library: ctypes.CDLL, matrix: MatrixStruct, x: Tensor) -> Tensor:
    """Compute x Wᵀ + b: x (R, C), contiguous -> (R, N)."""
    y = x.new_empty(x.shape[0], matrix.N)
    rows, threads = x.shape[0], torch.get_num_threads()
    library.multiply(byref(matrix), rows, c_void_p(x.data_ptr()), c_void_p(y.data_ptr()), threads)
    return y


def compiler_command() -> list[str]:
    """Return the command in $CC with its options, or `cc`; it may not exist."""
    return shlex.split(os.environ.get("CC") or "cc")


class _NoCompilerError(Exception):
    """The compiler is not on the path."""


@cache
def _library() -> ctypes.CDLL | str:
    """Return the library, or the reason for its absence."""
    if sys.platform != "linux":
        return "native code is supported on Linux only"
    compiler = compiler_command()
    try:
        library = ctypes.CDLL(str(_built(compiler)))
    except _NoCompilerError:
        return f"no C compiler `{compiler[0]}`. Install gcc, or name a compiler in $CC"
    except subprocess.CalledProcessError as error:
        return f"`{compiler[0]}` failed: {(error.stderr.strip().splitlines() or ['no error message'])[-1]}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the output of `{compiler[0]}` cannot be saved or loaded: {error}"
    library.multiply.restype = library.run_blocks.restype = None
    return library


def _built(compiler: list[str]) -> Path:
    """Find or build the library in the user's cache.

    Raises the errors that `_library` catches.
    """
    inputs = [SOURCE.read_text("utf-8"), *FLAGS, platform.machine(), _processor()]
    name = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
    folder = user_cache_path("glassgpt") / "native"
    path = folder / f"blocks-{name}.so"
    if path.exists():
        if path.stat().st_uid not in (0, os.getuid()):  # another user's code, in a shared folder
            raise PermissionError(f"{path} belongs to another user")
        return path
    if shutil.which(compiler[0]) is None:
        raise _NoCompilerError
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as temporary:
        compiled, linked = Path(temporary, "blocks.o"), Path(temporary, "blocks.so")
        _run(*compiler, *FLAGS, "-c", SOURCE, "-o", compiled)
        # Without -fopenmp: torch has loaded its OpenMP already, and a second one would compete with it.
        _run(*compiler, "-shared", compiled, "-o", linked)
        linked.replace(path)  # atomic, since several processes may build at the same time
    return path


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT)


def _processor() -> str:
    """Return model and features of the first CPU.

    Machines with the same home folder may differ in them.
    """
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        about = list(takewhile(str.strip, lines))
    return "".join(line for line in about if line.startswith(("model name", "flags", "Features")))
