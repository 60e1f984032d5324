"""The folder of a new run, named after its first source."""

from __future__ import annotations

from pathlib import Path

from glassgpt.checkpoint import is_abandoned, is_locked
from glassgpt.config import RunConfig

LONGEST = 60
"""Characters of the name of a new run, at most."""


def new_path(config: RunConfig, parent: Path = Path("runs")) -> Path:
    """Return a free path below `parent`, named after the first source: runs/notes, runs/notes-2, …"""
    stem = run_name(config)
    names = (stem if i == 1 else f"{stem}-{i}" for i in range(1, 10_000))
    return next(parent / name for name in names if _is_free(parent / name))


def run_name(config: RunConfig) -> str:
    """Return the name of a run after its first source.

    >>> run_name(RunConfig.of(sources="my notes/März 1.txt"))
    'März-1'
    """
    stem = Path(config.data.sources[0]).stem if config.data.sources[0] != "-" else "stdin"
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in stem).strip("-")[:LONGEST] or "run"


def _is_free(path: Path) -> bool:
    return not path.exists() or (is_abandoned(path) and not is_locked(path))
