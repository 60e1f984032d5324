"""The folder of a new run, named after its first source."""

from __future__ import annotations

from pathlib import Path

from glassgpt.checkpoint import is_abandoned, is_locked
from glassgpt.config import RunConfig

MAX_CHARS = 60
"""Maximum number of characters of the name of a new run."""


def new_path(config: RunConfig, parent: Path = Path("runs")) -> Path:
    """Return a free path below `parent`, named after the first source: runs/notes, runs/notes-2, …"""
    return free_path(run_name(config), parent)


def free_path(name: str, parent: Path = Path("runs")) -> Path:
    """Return a free path below `parent` with this name, or this name and a number."""
    name = _plain(name)
    names = (name if i == 1 else f"{name}-{i}" for i in range(1, 10_000))
    return next(parent / name for name in names if _is_free(parent / name))


def run_name(config: RunConfig) -> str:
    """Return the name of a run after its first source.

    >>> run_name(RunConfig.of(sources="my notes/März 1.txt"))
    'März-1'
    """
    source = config.data.sources[0]
    return _plain("stdin" if source == "-" else Path(source).stem)


def _plain(name: str) -> str:
    """Return a name of letters, digits, - and _ only.

    >>> _plain("Qwen3-0.6B")
    'Qwen3-0-6B'
    """
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-")[:MAX_CHARS] or "run"


def _is_free(path: Path) -> bool:
    return not path.exists() or (is_abandoned(path) and not is_locked(path))
