"""Names, types, shapes and places of the tensors in a safetensors file. Reads no tensor.

safetensors' own loader checks sizes, offsets and gaps. This module adds the checks that the loader lacks: a
limit on the header, duplicate names, unknown fields and types, and the number of dimensions.
Source: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from glassgpt.language import N_
from glassgpt.safe_io import damaged, file_size, parse_json, quoted, unreadable

MAX_HEADER = 1 << 24
"""Longest header, in bytes. 200 blocks with their optimizer state take one million."""
MAX_DIMENSIONS = 8
FLOATS = ("F64", "F32", "F16", "BF16")
DTYPES = (*FLOATS, "BOOL", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8")
"""Types of tensors that a run may hold, in safetensors' names."""
FIELDS = {"dtype", "shape", "data_offsets"}


@dataclass(frozen=True)
class Spec:
    """The type of a tensor, in safetensors' names, and its shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class TensorPlace:
    """A tensor in a file: its type and shape, and its first byte, counted from the start of the file."""

    spec: Spec
    start: int


def read_header(path: Path) -> dict[str, Spec]:
    """Return types and shapes of a file's tensors by name.

    Raises UserError unless the tensors fill the file exactly.
    """
    return {name: place.spec for name, place in read_places(path).items()}


def read_places(path: Path) -> dict[str, TensorPlace]:
    """Return types, shapes and places of a file's tensors by name.

    Raises UserError unless the tensors fill the file exactly.
    """
    size = file_size(path)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            limit = max(0, min(size - 8, MAX_HEADER))
            if length > limit:
                raise damaged(
                    path,
                    N_("a header of {length:,} bytes, the limit is {limit:,}", length=length, limit=limit),
                )
            header = parse_json(file.read(length), path)
        header.pop("__metadata__", None)
        for name, entry in header.items():
            _check_entry(path, name, entry)
        with safe_open(path, "pt") as opened:
            slices = {name: opened.get_slice(name) for name in header}
            specs = {name: Spec(part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
        first = 8 + length
        return {
            name: TensorPlace(spec, first + header[name]["data_offsets"][0]) for name, spec in specs.items()
        }
    except OSError as error:
        raise unreadable(path, error) from error
    except SafetensorError as error:  # it may quote names from the file
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise damaged(
            path, N_("safetensors refuses its header ({reason})", reason=quoted(reason, 200))
        ) from error


def _check_entry(path: Path, name: str, entry: Any) -> None:
    """Check fields, type and dimensions of a tensor's entry. Raises UserError."""
    if not isinstance(entry, dict) or entry.keys() != FIELDS or not isinstance(entry["shape"], list):
        raise damaged(path, N_("{name} is not described as a tensor", name=quoted(name)))
    if entry["dtype"] not in DTYPES or len(entry["shape"]) > MAX_DIMENSIONS:
        raise damaged(
            path,
            N_(
                "{name} is {dtype} with {n_dimensions} dimensions; possible are {dtypes} and up "
                "to {max_dimensions} dimensions",
                name=quoted(name),
                dtype=quoted(entry["dtype"]),
                n_dimensions=len(entry["shape"]),
                dtypes=", ".join(DTYPES),
                max_dimensions=MAX_DIMENSIONS,
            ),
        )
