"""Writing what a power cut cannot take back, mix or cut short. What a step is, store.py knows.

A file's bytes are synced before its name changes, and the folder after it: otherwise the disk may take the
new name before the bytes, or the removal of the old before the new.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut. Windows has no such call for folders."""
    folder = path.is_dir()
    if os.name == "nt" and folder:
        return
    # Windows syncs only what is open for writing; folders can only be opened for reading.
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_above(path: Path, levels: int = 2) -> None:
    """Sync the names of a folder and of the one above it: they may be as new as what is in them."""
    for folder in list(path.absolute().parents)[:levels]:
        with suppress(PermissionError):  # one may be allowed to make folders in it, and not to open it
            sync(folder)


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, and sync the name of each."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, and sync its bytes; the caller syncs its name, with the folder.

    `x` follows no link: what lies there from a stranger, or from a kill, must not lead to another file.
    """
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """A file that was there is replaced whole or not at all, and on disk when this returns."""
    aside = path.with_name(f".{path.name}.writing")
    aside.unlink(missing_ok=True)
    try:
        write_new(aside, text)
        os.replace(aside, path)
    except OSError:  # a full disk: leave no half of a file on it
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def to_json(value: Any) -> str:
    """Readable JSON."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Readable JSON, UTF-8; a file that was there is replaced whole or not at all, on disk at return."""
    write_text(path, to_json(value))


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there. What a link points to is left alone."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
