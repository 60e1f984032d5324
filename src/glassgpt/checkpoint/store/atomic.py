"""Durable, atomic file writes: a power cut cannot undo, mix or truncate them.

A file's bytes are synced before its rename, and its folder after it. Otherwise the disk may store the new
name before the bytes, or remove the old file before the new one is there. Steps are in step.py.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from glassgpt.atomic_write import sync


def sync_above(path: Path, levels: int = 2) -> None:
    """Sync the `levels` folders above a path, because their names may be new too."""
    for folder in list(path.absolute().parents)[:levels]:
        with suppress(PermissionError):  # a folder may allow writing and forbid opening
            sync(folder)


def make_folder(path: Path) -> None:
    """Create a folder with its missing parents, and sync each name."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def write_new(path: Path, text: str) -> None:
    """Create a file and sync its bytes. The caller syncs the folder.

    Mode `x` follows no link: an old or hostile link must not lead to another file. Raises FileExistsError.
    """
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Replace a file atomically. It is on disk when this returns."""
    partial = path.with_name(f".{path.name}.writing")
    partial.unlink(missing_ok=True)
    try:
        write_new(partial, text)
        os.replace(partial, path)
    except OSError:  # a full disk: remove the partial file
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def to_json(value: Any) -> str:
    """Format a value as readable JSON."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Replace a file by readable JSON (UTF-8), atomically. It is on disk when this returns."""
    write_text(path, to_json(value))


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if present. A link's target stays."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
