"""Safe reading of files and JSON from an untrusted source.

Every refusal is a UserError with the file, the value, the limit and the remedy. This module knows nothing
about runs; the layout of tensors in a file is in header.py.
"""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

from glassgpt.errors import UserError

MAX_JSON = 1 << 24
"""Largest JSON file, in bytes. A manifest has hundreds of bytes, a configuration a few thousand."""
MAX_DEPTH = 32
"""Deepest nesting of JSON. Ours goes five deep; a parser's stack ends at about a thousand."""
STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""Possessive, and with an optional end quote: each character is read once, also in an open string."""


def quoted(name: object, limit: int = 80) -> str:
    """Return a name from a file in printable form: no control characters, limited length.

    >>> print(quoted("a\\x1b[2J"))
    'a\\x1b[2J'
    """
    text = ascii(name)
    return text if len(text) <= limit else f"{text[:limit]}…"


def damaged(file: object, problem: str) -> UserError:
    """Return the error for a file that is not as glassgpt wrote it."""
    return UserError(f"{file}: {problem}. The file is damaged. Restore a copy of it.")


def unreadable(path: Path, error: OSError) -> UserError:
    """Return the error for a file that the system cannot read."""
    return UserError(
        f"{path} cannot be read ({error.strerror or error}). Check the path and its permissions."
    )


def file_size(path: Path) -> int:
    """Return the bytes of a regular file.

    Raises UserError for a link, a folder, and for a pipe or device, which may never end.
    """
    try:
        found = path.lstat()
    except OSError as error:
        raise unreadable(path, error) from error
    if stat.S_ISLNK(found.st_mode):
        raise UserError(
            f"{path} is a link, and a run holds its own files. Replace the link by a copy of its target, "
            "if you trust the target."
        )
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is a {_kind(found.st_mode)}, not a regular file. Remove it.")
    return found.st_size


def read_capped(path: Path, limit: int = MAX_JSON) -> bytes:
    """Read a regular file of at most `limit` bytes. Raises UserError for a larger one."""
    size = file_size(path)
    if size > limit:
        raise UserError(f"{path} has {size:,} bytes, the limit is {limit:,}. Do not use the file.")
    try:
        with path.open("rb") as file:
            return file.read(limit)  # the file may have grown since
    except OSError as error:
        raise unreadable(path, error) from error


def read_json(path: Path, limit: int = MAX_JSON) -> dict[str, Any]:
    """Read the JSON object in a file of at most `limit` bytes."""
    return parse_json(read_capped(path, limit), path)


def parse_json(data: bytes, path: Path) -> dict[str, Any]:
    """Parse a JSON object; `path` is its origin, for errors.

    Raises UserError for a duplicate key. Two programs may read different values of a duplicate key. Then one
    checks a value, the other uses another.

    >>> parse_json(b'{"a": 1}', Path("a.json"))
    {'a': 1}
    >>> parse_json(b'{"a": 1, "a": 2}', Path("a.json"))
    Traceback (most recent call last):
    glassgpt.errors.UserError: a.json: the key 'a' twice. glassgpt did not write it. Do not use the file.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise _foreign(path, f"the key {quoted(key)} twice")
            found[key] = value
        return found

    try:
        text = data.decode("utf-8")
        _check_depth(text, path)
        value = json.loads(text, object_pairs_hook=unique)
    except UserError:
        raise
    except ValueError as error:  # also UnicodeDecodeError, and integers of thousands of digits
        raise damaged(path, f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise damaged(path, f"a {type(value).__name__}, not an object")
    return value


def refuse_links(folder: Path) -> None:
    """Raise UserError for a link in a run or its folders.

    The run's own folder may be a link. Writing through a link would change another file.
    """
    try:
        inner = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
        links = [path for part in (folder, *inner) for path in part.iterdir() if path.is_symlink()]
    except OSError as error:
        raise unreadable(folder, error) from error
    if links:
        raise UserError(
            f"{quoted(str(links[0]), 300)} is a link, and a run holds its own files; writing through the "
            "link would change another file. If you trust the run, copy it with its links resolved: "
            "cp -rL RUN COPY"
        )


def _check_depth(text: str, path: Path) -> None:
    """Raise UserError for JSON nested beyond MAX_DEPTH. Takes time linear in the text."""
    depth = 0
    for match in STRING_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > MAX_DEPTH:
            raise _foreign(path, f"JSON nested more than {MAX_DEPTH} deep")


def _foreign(path: Path, problem: str) -> UserError:
    return UserError(f"{path}: {problem}. glassgpt did not write it. Do not use the file.")


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))
    return next((name for test, name in kinds if test(mode)), "device")
