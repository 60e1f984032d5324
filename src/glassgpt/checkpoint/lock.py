"""The lock of a run: one process at a time writes to its folder."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from glassgpt.checkpoint.store import make_folder
from glassgpt.errors import UserError, cannot_write

LOCK, OWNER = ".lock", ".lock.json"
"""The locked file, and who holds the lock."""


def acquire_lock(path: Path) -> FileLock:
    """The right to write to a run's folder. Raises UserError, naming the owner, while another process has it.

    The lock is the operating system's: it ends with its process, however that ends.
    """
    lock = FileLock(path / LOCK, thread_local=False)
    try:
        make_folder(path)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"{path} is being trained by {_owner(path)}: wait for it, or use --out") from error
    except OSError as error:
        raise cannot_write(path, error) from error
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    owner = {"process": os.getpid(), "host": socket.gethostname(), "since": since}
    (path / OWNER).write_text(json.dumps(owner), "utf-8")
    return lock


def clean_up(path: Path, made: list[Path]) -> None:
    """Leave nothing of a run that did not come about: its lock, and folders that were made for it."""
    if path.is_dir() and all(each.name in (LOCK, OWNER) for each in path.iterdir()):
        for name in (LOCK, OWNER):
            (path / name).unlink(missing_ok=True)
        for folder in made:
            with suppress(OSError):  # something else is in it by now
                folder.rmdir()


def _owner(path: Path) -> str:
    try:
        owner = json.loads((path / OWNER).read_text("utf-8"))
        return f"process {owner['process']} on {owner['host']} since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has only just begun
        return "another process"
