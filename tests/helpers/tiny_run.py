"""A training of seconds: one small block on a text file, without samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glassgpt.config import RunConfig

MODEL: dict[str, Any] = {"size": "nano", "n_layer": 1, "block_size": 32}


def tiny_config(
    path: Path,
    train: Mapping[str, Any],
    *,
    model: Mapping[str, Any] | None = None,
    **tables: Mapping[str, Any],
) -> RunConfig:
    """Settings of a training on the text at `path`; other tables by their names."""
    given = {"model": {**MODEL, **(model or {})}, "train": {"sample_tokens": 0, **train}, **tables}
    return RunConfig.model_validate({"data": {"sources": [str(path)]}, **given})
