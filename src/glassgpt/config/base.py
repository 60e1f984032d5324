"""Frozen configuration tables and the presets that fill them. Never imports torch."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

PRESETS = Path(__file__).parent / "presets"
Kind = Literal["architecture", "size", "family", "dataset"]
Tables = dict[str, Any]
"""Settings by table and field: {"model": {"n_layer": 2}}."""


class Config(BaseModel):
    """A frozen table of settings. Unknown fields are an error."""

    # Validators are built when first used: a command that checks settings builds one, not six.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def given(self) -> Tables:
        """Return the fields that were set explicitly, not filled from presets or defaults."""
        return self.model_dump(exclude_unset=True)


@cache
def preset(kind: Kind, name: str) -> Tables:
    """Read the settings of a preset.

    >>> preset("size", "small")["model"]["n_embd"]
    768
    """
    return tomllib.loads((PRESETS / kind / f"{name}.toml").read_text("utf-8"))


@cache
def preset_names(kind: Kind) -> tuple[str, ...]:
    """Return the names of the presets of a kind, in alphabetical order.

    >>> preset_names("architecture")
    ('gpt2', 'modern', 'speedrun')
    """
    return tuple(sorted(path.stem for path in (PRESETS / kind).glob("*.toml")))


def merge(base: Tables, over: Tables) -> Tables:
    """Merge `over` on top of `base`, table by table.

    >>> merge({"model": {"n_layer": 2, "n_head": 4}}, {"model": {"n_layer": 3}})
    {'model': {'n_layer': 3, 'n_head': 4}}
    """
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
