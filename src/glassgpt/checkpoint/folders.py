"""Runs inside a folder. A model of transformers has a config.json, too, and is no run."""

from __future__ import annotations

from pathlib import Path

from glassgpt.errors import UserError
from glassgpt.safe_io import read_json


def run_folders(folder: Path) -> list[Path]:
    """Return the runs directly inside a folder, sorted by name, damaged ones included."""
    found = (file.parent for file in sorted(folder.glob("*/config.json")))
    return [path for path in found if not is_of_transformers(path)]


def is_of_transformers(folder: Path) -> bool:
    """True if the config.json of a folder is of a model of transformers, such as an export."""
    try:
        config = read_json(folder / "config.json")
    except (UserError, OSError):  # damaged: nobody knows whose it was
        return False
    return "model_type" in config and "train" not in config
