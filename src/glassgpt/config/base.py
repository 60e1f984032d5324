"""Frozen configuration tables, and the presets that fill them. Never imports torch."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

PRESETS = Path(__file__).parent / "presets"


class Config(BaseModel):
    """A frozen table of settings; unknown fields are errors."""

    # Build validators on first use: a command needs one of them, not all six.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


@cache
def preset(name: str) -> dict[str, Any]:
    """Read the fields of a preset, table by table.

    >>> preset("small")["n_embd"]
    768
    """
    return tomllib.loads((PRESETS / f"{name}.toml").read_text("utf-8"))


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge nested tables; values of `over` win.

    >>> merge({"model": {"n_layer": 2, "n_head": 4}}, {"model": {"n_layer": 3}})
    {'model': {'n_layer': 3, 'n_head': 4}}
    """
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
