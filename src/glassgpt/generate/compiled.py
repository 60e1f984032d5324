"""decode.c, built once by this machine's C compiler: the pass over a model's weights that writes a token.

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
from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_float, c_int32, c_void_p
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from platformdirs import user_cache_path
from torch import Tensor, nn

SOURCE = Path(__file__).with_name("decode.c")
FLAGS = ("-O3", "-march=native", "-fopenmp", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
PATIENCE = 60
"""Seconds that a compiler may take; it takes one."""


class Matrix(Structure):
    """The struct of that name in decode.c; so are those below."""

    _fields_ = (("table", c_void_p), ("bias", c_void_p), ("N", c_int32), ("C", c_int32), ("per_word", c_int32))


class Norm(Structure):
    _fields_ = (("gain", c_void_p), ("bias", c_void_p), ("eps", c_float), ("kind", c_int32))


class Layer(Structure):
    _fields_ = (
        *((name, Norm) for name in ("norm_1", "norm_2", "q_norm", "k_norm")),
        *((name, Matrix) for name in ("qkv", "attn_proj", "fc", "mlp_proj")),
        *((name, c_void_p) for name in ("keys", "values")),
    )


class GPT(Structure):
    _fields_ = (
        ("layers", POINTER(Layer)),
        ("cos", c_void_p),
        ("sin", c_void_p),
        ("norm_f", Norm),
        *(
            (name, c_int32)
            for name in (
                "n_layer",
                "n_head",
                "n_kv_head",
                "head_dim",
                "n_embd",
                "hidden",
                "mlp",
                "max_len",
                "window",
            )
        ),
    )


MLP = {"swiglu": 0, "gelu": 1, "gelu_erf": 2}


@cache
def load() -> ctypes.CDLL | None:
    """What the compiler made of decode.c, on Linux; None where that cannot be had."""
    if sys.platform != "linux":
        return None
    try:
        library = ctypes.CDLL(str(_built()))
    except (OSError, subprocess.SubprocessError):
        return None
    library.multiply.restype = library.decode.restype = None
    return library


def multiply(library: ctypes.CDLL, matrix: Matrix, x: Tensor) -> Tensor:
    """x (R, C) contiguous -> x Wᵀ + b, (R, N)."""
    y = x.new_empty(x.shape[0], matrix.N)
    rows, threads = x.shape[0], torch.get_num_threads()
    library.multiply(byref(matrix), rows, c_void_p(x.data_ptr()), c_void_p(y.data_ptr()), threads)
    return y


class CompiledBlocks:
    """The blocks of a GPT and the norm after them, for a few rows at once: new tokens of the slots of a cache.

    gpt: filled in but for the layers, whose tensors, `kept`, must stay where they are.
    """

    def __init__(self, library: ctypes.CDLL, gpt: GPT, layers: Sequence[Layer], kept: Sequence[object]) -> None:
        self.library, self.gpt, self.kept = library, gpt, list(kept)
        self.layers = (Layer * len(layers))(*layers)
        gpt.layers, gpt.n_layer = self.layers, len(layers)
        wide = max((gpt.n_head + 2 * gpt.n_kv_head) * gpt.head_dim, gpt.hidden * (1 if gpt.mlp else 2))
        self.room_per_row = gpt.n_embd + wide + gpt.hidden + gpt.n_head * gpt.max_len
        self.work = torch.empty(self.room_per_row)

    def __call__(self, x: Tensor, slots: Sequence[int], places: Sequence[int]) -> Tensor:
        """Embedded tokens (R, C), each at a place of a slot -> their states (R, C), in x itself."""
        R = len(slots)
        if self.work.shape[0] < R * self.room_per_row:
            self.work = torch.empty(R * self.room_per_row)
        ints = c_int32 * R
        self.library.decode(
            byref(self.gpt),
            R,
            ints(*slots),
            ints(*places),
            c_void_p(x.data_ptr()),
            c_void_p(self.work.data_ptr()),
            torch.get_num_threads(),
        )
        return x


def norm(module: nn.Module) -> Norm:
    """What decode.c calls a norm."""
    if isinstance(module, nn.RMSNorm):
        assert module.eps is not None
        return Norm(module.weight.data_ptr(), None, module.eps, 0)
    if isinstance(module, nn.LayerNorm):
        return Norm(module.weight.data_ptr(), address(module.bias), module.eps, 1)
    assert isinstance(module, nn.Identity)
    return Norm(None, None, 0, 2)


def address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _built() -> Path:
    """The library, from the user's cache or built into it. Raises OSError or SubprocessError."""
    known = [SOURCE.read_bytes(), " ".join(FLAGS).encode(), platform.machine().encode(), _processor()]
    folder = user_cache_path("glassgpt") / "compiled"
    path = folder / f"decode-{hashlib.sha256(b'|'.join(known)).hexdigest()[:16]}.so"
    if path.exists():
        return path
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as aside:
        made, linked = Path(aside, "decode.o"), Path(aside, "decode.so")
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
