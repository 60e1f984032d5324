"""Reading what somebody else may have made: files and JSON, refused before they can do harm.

Whatever is refused raises UserError, which names the file, what was found, the limit and the remedy.
Nothing here knows what a run is; how tensors lie in a file is header.py's affair.
"""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

from glassgpt.errors import UserError

MAX_JSON = 1 << 24
"""Largest JSON file that is read, in bytes. A manifest takes hundreds, a configuration a few thousand."""
MAX_DEPTH = 32
"""Deepest nesting of JSON. Ours goes five deep; a parser's stack ends at about a thousand."""
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def quoted(name: object, limit: int = 80) -> str:
    """A name out of a file, fit to be printed: no control characters, and not endless.

    >>> print(quoted("a\\x1b[2J"))
    'a\\x1b[2J'
    """
    text = ascii(name)
    return text if len(text) <= limit else f"{text[:limit]}…"


def file_size(path: Path) -> int:
    """Bytes of an ordinary file. Raises UserError for a link, a folder, or what may never end: a pipe."""
    try:
        found = path.lstat()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    if stat.S_ISLNK(found.st_mode):
        raise UserError(
            f"{path} is a link, and a run holds its files itself: where you trust it, put what it points to "
            "in its place"
        )
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is no ordinary file but a {_kind(found.st_mode)}: remove it")
    return found.st_size


def read_capped(path: Path, limit: int = MAX_JSON) -> bytes:
    """An ordinary file of at most `limit` bytes, whole."""
    size = file_size(path)
    if size > limit:
        raise UserError(f"{path} has {size:,} bytes, and {limit:,} is the limit: it is not what it should be")
    try:
        with path.open("rb") as file:
            return file.read(limit)  # and no more, should it grow meanwhile
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error


def read_json(path: Path, limit: int = MAX_JSON) -> dict[str, Any]:
    """The JSON object in a file."""
    return parse_json(read_capped(path, limit), path)


def parse_json(data: bytes, path: Path) -> dict[str, Any]:
    """A JSON object; `path` is where it is from. A key that is given twice is refused.

    Of two values, two programs may take different ones: what one has checked, the other does not use.

    >>> parse_json(b'{"a": 1}', Path("a.json"))
    {'a': 1}
    >>> parse_json(b'{"a": 1, "a": 2}', Path("a.json"))
    Traceback (most recent call last):
    glassgpt.errors.UserError: a.json holds the key 'a' twice: it was not written by glassgpt; do not use it
    """
    try:
        text = data.decode("utf-8")
        _check_depth(text, path)
        value = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, path))
    except UserError:
        raise
    except ValueError as error:  # also UnicodeDecodeError, and integers of thousands of digits
        raise UserError(f"{path} is not JSON ({error}): it is damaged") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, not an object: it is damaged")
    return value


def refuse_links(folder: Path) -> None:
    """Raise UserError where a run, or a folder in it, holds a link: writing there would change another file.

    The run's own folder may be one.
    """
    try:
        inner = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
        links = [path for part in (folder, *inner) for path in part.iterdir() if path.is_symlink()]
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror})") from error
    if links:
        raise UserError(
            f"{quoted(str(links[0]), 300)} is a link, and a run holds its files itself: what is written "
            "there would change another file. Where you trust the run, copy it with the links resolved: "
            "cp -rL RUN COPY"
        )


def _check_depth(text: str, path: Path) -> None:
    depth = 0
    for token in TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > MAX_DEPTH:
            raise UserError(f"{path} is nested more than {MAX_DEPTH} deep: it was not written by glassgpt")


def _unique(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    unique: dict[str, Any] = {}
    for key, value in pairs:
        if key in unique:
            raise UserError(
                f"{path} holds the key {quoted(key)} twice: it was not written by glassgpt; do not use it"
            )
        unique[key] = value
    return unique


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))
    return next((name for test, name in kinds if test(mode)), "device")
