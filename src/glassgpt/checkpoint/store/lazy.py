"""Tensors that are read one at a time, and written to a safetensors file one at a time.

RAM holds one tensor, not the model. The file is read, not mapped: one that shrinks meanwhile is an error, not
the end of the process.
Source of the format: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from glassgpt.checkpoint.store.header import Spec, TensorPlace
from glassgpt.safe_io import damaged, quoted, unreadable

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""Types of weights, by safetensors' names."""
ALIGNMENT = 8
"""The header's length is a multiple of it, so that tensors begin at aligned bytes."""


class LazyTensors(Mapping[str, Tensor]):
    """Tensors by name, each read when it is asked for."""

    def __init__(self, specs: Mapping[str, Spec], read: Callable[[str], Tensor]) -> None:
        self.specs = specs
        self._read = read

    def __getitem__(self, name: str) -> Tensor:
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)

    @property
    def n_bytes(self) -> int:
        """Size of all tensors in bytes."""
        return sum(map(n_bytes, self.specs.values()))

    def save(self, path: Path) -> None:
        """Write a safetensors file, reading each tensor once."""
        header, stop = {}, 0
        for name, spec in self.specs.items():
            start, stop = stop, stop + n_bytes(spec)
            header[name] = {"dtype": spec.dtype, "shape": [*spec.shape], "data_offsets": [start, stop]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % ALIGNMENT)
        with path.open("xb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name, spec in self.specs.items():
                tensor = self[name].to(TYPES[spec.dtype]).contiguous()
                assert tensor.shape == spec.shape
                file.write(_as_bytes(tensor))


def n_bytes(spec: Spec) -> int:
    """Return the size of a tensor in bytes.

    >>> n_bytes(Spec("BF16", (3, 4)))
    24
    """
    return math.prod(spec.shape) * TYPES[spec.dtype].itemsize


def read_tensor(path: Path, name: str, place: TensorPlace) -> Tensor:
    """Read one tensor of a file, on the CPU. Raises UserError if the file has become shorter."""
    tensor = torch.empty(place.spec.shape, dtype=TYPES[place.spec.dtype])
    try:
        with path.open("rb") as file:
            file.seek(place.start)
            found = file.readinto(_as_bytes(tensor))
    except OSError as error:
        raise unreadable(path, error) from error
    if found != tensor.nbytes:
        raise damaged(path, f"{quoted(name)} has {found:,} bytes of {tensor.nbytes:,}")
    return tensor


def _as_bytes(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor, not a copy of it."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data
