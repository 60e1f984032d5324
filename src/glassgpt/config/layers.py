"""Layers of settings: the presets under what the user gave, and the origin of each value.

A later layer wins over an earlier one. The order, weakest first: architecture, size, model family, dataset,
facts found later (base run, data), then what the user gave. One exception: a size named by the user wins over
the numbers of family and dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from glassgpt.config.base import Kind, Tables, merge, preset, preset_names

DATASETS = preset_names("dataset")
"""Names of the built-in datasets. As the only source, each brings its own settings."""
CORPORA = ("python", "shakespeare")
"""Names of the built-in texts."""
DEFAULTS: dict[Kind, str] = {"architecture": "modern", "size": "micro", "family": "gpt"}


def is_built_in(source: str) -> bool:
    """True if a source is the name of a built-in text or dataset, also next to a file of that name.

    So the same command means the same in every folder. `./python` is always the file or folder.

    >>> is_built_in("python"), is_built_in("dates"), is_built_in("./dates")
    (True, True, False)
    """
    return source in CORPORA or source in DATASETS


@dataclass(frozen=True)
class Layer:
    """Settings and their origin, in the words shown to the user: `size micro`, `option`, `notes.toml`."""

    origin: str
    tables: Tables


def combine(layers: Sequence[Layer]) -> Tables:
    """Merge layers into one set of tables; later layers win.

    >>> combine([Layer("size nano", {"model": {"n_layer": 2}}), Layer("option", {"model": {"n_layer": 3}})])
    {'model': {'n_layer': 3}}
    """
    tables: Tables = {}
    for layer in layers:
        tables = merge(tables, layer.tables)
    return tables


def origins(layers: Sequence[Layer]) -> dict[str, str]:
    """Return the origin of each field by its dotted name.

    >>> origins([Layer("size nano", {"model": {"n_layer": 2}}), Layer("option", {"model": {"n_layer": 3}})])
    {'model.n_layer': 'option'}
    """
    found: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.tables.items():
            fields = [f"{name}.{field}" for field in value] if isinstance(value, dict) else [name]
            found |= dict.fromkeys(fields, layer.origin)
    return found


def preset_layers(given: Tables) -> list[Layer]:
    """Return the presets under these settings, weakest first.

    Unknown preset names are replaced by the default: validation reports them.
    """
    dataset = _dataset(given)
    model = merge(dataset.tables if dataset else {}, given).get("model", {})
    model = model if isinstance(model, dict) else {}
    size = _named("size", model.get("size"))
    layers = [_named("architecture", model.get("preset")), size, _named("family", model.get("family"))]
    layers += [dataset] if dataset else []
    named = given.get("model", {})
    return [*layers, size] if isinstance(named, dict) and "size" in named else layers


def _named(kind: Kind, name: Any) -> Layer:
    chosen = name if name in preset_names(kind) else DEFAULTS[kind]
    return Layer(f"{kind} {chosen}", preset(kind, chosen))


def _dataset(given: Tables) -> Layer | None:
    match given.get("data"):
        case {"sources": str(name) | (str(name),) | [str(name)]} if name in DATASETS:
            return Layer(f"dataset {name}", preset("dataset", name))
    return None


def fields(tables: Tables) -> Iterator[tuple[str, Any]]:
    """Yield each field by its dotted name.

    >>> dict(fields({"task": "chat", "model": {"n_layer": 3}}))
    {'task': 'chat', 'model.n_layer': 3}
    """
    for name, value in tables.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{field}", item) for field, item in value.items())
        else:
            yield name, value
