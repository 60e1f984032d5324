"""What the configurations have in common: frozen tables, and presets that fill them. It imports no torch."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

PRESETS = Path(__file__).parent / "presets"


class Config(BaseModel):
    """Frozen, and refuses a field that it does not know."""

    # Validators are built when first used: the commands that check settings build one, not six.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


@cache
def preset(name: str) -> dict[str, Any]:
    """The fields that a preset sets.

    >>> preset("small")["n_embd"]
    768
    """
    return tomllib.loads((PRESETS / f"{name}.toml").read_text("utf-8"))


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, table by table.

    >>> merge({"model": {"n_layer": 2, "n_head": 4}}, {"model": {"n_layer": 3}})
    {'model': {'n_layer': 3, 'n_head': 4}}
    """
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
