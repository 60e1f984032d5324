"""Change a GGUF file: its fields and its tensors (float32)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Fields = dict[str, Any]
Tensors = dict[str, np.ndarray]
Change = Callable[[Fields, Tensors], object]


def rewrite(file: Path, change: Change) -> None:
    """Read a file, change it, and write it again. The architecture and types of fields stay."""
    import gguf

    reader = gguf.GGUFReader(file)
    kept = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    fields = {name: field.contents() for name, field in kept.items()}
    tensors = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    change(fields, tensors)
    architecture = fields.pop("general.architecture")
    writer = gguf.GGUFWriter(file, architecture)
    for name, value in fields.items():
        types = kept[name].types
        writer.add_key_value(name, value, types[0], types[-1] if len(types) > 1 else None)
    for name, tensor in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def set_field(name: str, value: Any) -> Change:
    """Change the value of a field that ends with a name."""

    def change(fields: Fields, tensors: Tensors) -> None:
        (full,) = (each for each in fields if each.endswith(name))
        fields[full] = value

    return change


def drop_field(name: str) -> Change:
    """Leave out a field that ends with a name."""

    def change(fields: Fields, tensors: Tensors) -> None:
        (full,) = (each for each in fields if each.endswith(name))
        del fields[full]

    return change


def set_tensor(name: str, new: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Change a tensor."""
    return lambda fields, tensors: tensors.__setitem__(name, new(tensors[name]))


def drop_tensor(name: str) -> Change:
    """Leave out a tensor."""
    return lambda fields, tensors: tensors.pop(name)


def swap_tensors(one: str, other: str) -> Change:
    """Exchange two tensors."""

    def change(fields: Fields, tensors: Tensors) -> None:
        tensors[one], tensors[other] = tensors[other], tensors[one]

    return change


def swap_items(name: str, one: int, other: int) -> Change:
    """Exchange two items of a field that is an array."""

    def change(fields: Fields, tensors: Tensors) -> None:
        items = list(fields[name])
        items[one], items[other] = items[other], items[one]
        fields[name] = items

    return change
