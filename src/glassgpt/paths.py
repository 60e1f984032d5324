"""Paths that a user gives: a missing file, a folder in place of a file, and the name that was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from glassgpt.errors import UserError
from glassgpt.language import N_, join_texts


def check_file(path: Path | str, what: str = "") -> None:
    """Raise UserError unless a path leads to a file.

    what: words before the path in the message, such as an option.

    >>> check_file("nowhere/notes.txt", "`config`")
    Traceback (most recent call last):
    glassgpt.errors.UserError: `config` nowhere/notes.txt: no such file. Check the path.
    """
    path = Path(path)
    shown = f"{what} {path}".lstrip()
    if is_folder(path):
        raise UserError("{shown}: this is a folder. Give a file.", shown=shown)
    if not exists(path):
        raise UserError(
            "{shown}: no such file. {did_you_mean}",
            shown=shown,
            did_you_mean=did_you_mean(path) or N_("Check the path."),
        )


def did_you_mean(path: Path, others: Iterable[str] = ()) -> str:
    """Return a question with up to three names like the path's, from its folder or `others`, or ""."""
    try:
        names = {each.name: str(each) for each in path.parent.iterdir()}
    except (OSError, ValueError):
        names = {}
    close = difflib.get_close_matches(path.name, [*names, *others], n=3, cutoff=0.6)
    return (
        N_(
            "Did you mean {names}?",
            names=join_texts(" or ", (repr(names.get(each) or each) for each in close)),
        )
        if close
        else ""
    )


def exists(path: Path) -> bool:
    """True if there is something at a path, also where it cannot be read; False for an impossible name."""
    try:
        path.stat()
    except PermissionError:
        return True
    except (OSError, ValueError):  # too long, or with a zero character
        return False
    return True


def is_folder(path: Path) -> bool:
    """True for a folder; False for an impossible name."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def size_on_disk(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 if there is nothing."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
