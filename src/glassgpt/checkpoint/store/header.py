"""The header of a safetensors file: what it claims, believed only where it adds up. No tensor is read.

The format: eight bytes with the header's length, the header in JSON, then the numbers, without gaps.
Source: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassgpt.checkpoint.store.safe_io import file_size, parse_json, quoted
from glassgpt.errors import UserError

MAX_HEADER = 1 << 24
"""Longest header, in bytes; 200 blocks with all their optimizer state take one."""
MAX_DIMENSIONS = 8
ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "BOOL": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """What is known of a tensor before it is read: its type, as safetensors names it, and its shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """Its size on disk.

        >>> Spec("F16", (3, 4)).n_bytes
        24
        """
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


def read_header(path: Path) -> dict[str, Spec]:
    """The tensors in a file by name. Raises UserError unless they fill the file exactly."""
    size = file_size(path)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            room = min(size - 8, MAX_HEADER)
            if length > room:
                raise UserError(
                    f"{path} claims a header of {length:,} bytes, where {max(room, 0):,} is the most there "
                    "can be: it is damaged"
                )
            header = parse_json(file.read(length), path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    header.pop("__metadata__", None)
    places = sorted((*_entry(name, entry, path), name) for name, entry in header.items())
    end = 0
    for start, stop, _, name in places:
        if start != end:
            raise UserError(f"{path}: {quoted(name)} begins at byte {start:,}, not at {end:,}: it is damaged")
        end = stop
    if 8 + length + end != size:
        raise UserError(
            f"{path} has {size:,} bytes, and its header claims {8 + length + end:,}: it is damaged"
        )
    return {name: Spec(entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()}


def _entry(name: str, entry: Any, path: Path) -> tuple[int, int, int]:
    """Where a tensor begins and ends, in bytes after the header, and how many dimensions it has."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [start, stop], **rest} if not rest:
            numbers = [start, stop, *shape]
        case _:
            raise UserError(f"{path}: {quoted(name)} is not described as a tensor: it is damaged")
    if dtype not in ITEM_BYTES or len(shape) > MAX_DIMENSIONS:
        raise UserError(
            f"{path}: {quoted(name)} is {quoted(dtype)} with {len(shape)} dimensions; known are "
            f"{', '.join(ITEM_BYTES)} and {MAX_DIMENSIONS} dimensions"
        )
    if any(type(number) is not int or not 0 <= number < 1 << 63 for number in numbers):
        raise UserError(
            f"{path}: {quoted(name)} has a size or place that is no number of bytes: it is damaged"
        )
    if (claimed := Spec(dtype, tuple(shape)).n_bytes) != stop - start:
        raise UserError(
            f"{path}: {quoted(name)} has {quoted(shape)} of {dtype}, which take {claimed:,} bytes, and "
            f"{stop - start:,} in the file: it is damaged"
        )
    return start, stop, len(shape)
