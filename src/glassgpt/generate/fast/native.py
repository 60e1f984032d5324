"""The functions of blocks.c, which run the blocks of a GPT for new tokens.

build.py builds it. If it cannot be built or loaded, `load` returns None, and torch's kernels do the same,
slower. It does not compile models: decisions/0027.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import Structure, byref, c_int32, c_void_p
from functools import cache

import torch
from torch import Tensor

from glassgpt.generate.fast.build import load_or_build
from glassgpt.generate.fast.compiler import BuildError
from glassgpt.language import N_


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


@cache
def _library() -> ctypes.CDLL | str:
    """Return the library, or the reason for its absence."""
    if sys.platform != "linux":
        return N_("native code is supported on Linux only")
    try:
        return load_or_build()
    except BuildError as error:
        return str(error)
