"""Folders and files that no other user can change: native code is loaded from these alone.

A library runs with the user's rights. A folder that others can write to, such as a cache below a shared
/tmp, lets them put another one in its place.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from glassgpt.language import N_


class NotPrivateError(OSError):
    """Another user can change a folder, or a folder or link that leads to it."""


def private_folder(path: Path) -> Path:
    """Create a folder for this user alone, with its missing parents; return its real path.

    A folder or parent folder of this user's that others can use is closed to them. Raises NotPrivateError if
    others can change a folder above, or a link on the way, and OSError if it cannot be created.
    """
    if not path.is_absolute():
        raise NotPrivateError(N_("{path} depends on the current folder", path=path))
    for folder in (*reversed(path.parents), path):
        if not os.path.lexists(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        if folder in (path, path.parent):  # the project's own two folders
            _close_to_others(folder)
        _check(folder)
    real = path.resolve()
    for folder in (*reversed(real.parents), real):
        _check(folder)
    return real


def read_private(path: Path, limit: int) -> bytes | None:
    """Read a file; None unless it is a plain one of at most `limit` bytes that no other user can write.

    It follows no link, and waits for no pipe.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        is_plain = stat.S_ISREG(status.st_mode) and status.st_size <= limit
        if not is_plain or not _is_own(status) or _others_write(status):
            return None
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def _close_to_others(folder: Path) -> None:
    status = os.lstat(folder)
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and _others_write(status):
        folder.chmod(0o700)


def _check(path: Path) -> None:
    """Raise NotPrivateError if others can change a folder or a link.

    Of a folder with the sticky bit (/tmp), others cannot rename or remove what is not theirs.
    """
    status = os.lstat(path)
    if not _is_own(status):
        raise NotPrivateError(N_("{path} belongs to another user", path=path))
    if stat.S_ISLNK(status.st_mode):
        return
    if not stat.S_ISDIR(status.st_mode):
        raise NotPrivateError(N_("{path} is not a folder", path=path))
    if _others_write(status) and not status.st_mode & stat.S_ISVTX:
        raise NotPrivateError(N_("{path} can be changed by other users", path=path))


def _is_own(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.getuid())


def _others_write(status: os.stat_result) -> bool:
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
