"""The lock of a run: one process at a time writes to its folder."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

from filelock import FileLock, Timeout

from glassgpt.checkpoint.store import make_folder
from glassgpt.errors import UserError, cannot_write
from glassgpt.language import N_
from glassgpt.safe_io import read_json, refuse_hard_links

LOCK = ".lock"
"""The locked file."""
OWNER = ".lock.json"
"""The owner of the lock: process, host, start."""
METRICS = "metrics.jsonl"
"""The figures of a run; training appends to them."""


def acquire_lock(path: Path) -> FileLock:
    """Lock a run's folder for writing, and create it if missing.

    Raises UserError with the owner while another process holds the lock. The operating system releases the
    lock when its process ends.
    """
    lock = FileLock(path / LOCK, thread_local=False)
    try:
        make_folder(path)
        refuse_hard_links(*(path / name for name in (LOCK, OWNER, METRICS)))
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            "{path} is being trained by {owner}. Wait for it, or choose another `out`.",
            path=path,
            owner=_owner(path),
        ) from error
    except OSError as error:
        raise cannot_write(path, error) from error
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    owner = {"process": os.getpid(), "host": socket.gethostname(), "since": since}
    (path / OWNER).write_text(json.dumps(owner), "utf-8")
    return lock


def is_locked(path: Path) -> bool:
    """True if a process is writing to this run: it trains now."""
    file = path / LOCK
    if not file.is_file() or file.is_symlink() or file.stat().st_nlink > 1:  # taking the lock empties it
        return False
    lock = FileLock(path / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a folder that may only be read
        return False
    lock.release()
    return False


def _owner(path: Path) -> str:
    """Describe the process that holds the lock."""
    try:
        owner = read_json(path / OWNER)
        return N_(
            "process {process} on {host} since {since}",
            process=owner["process"],
            host=owner["host"],
            since=owner["since"],
        )
    except (UserError, KeyError):  # the owner has not written it yet
        return N_("another process")
