"""Safe reading of files and JSON from an untrusted source.

Every refusal is a UserError with the file, the value, the limit and the remedy. This module knows nothing
about runs; the layout of tensors in a file is in checkpoint/store/header.py.
"""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

from glassgpt.errors import UserError
from glassgpt.language import N_

MAX_JSON = 1 << 20
"""Largest JSON file of fixed content, in bytes. A manifest has hundreds, a configuration a few thousand."""
MAX_LIST = 1 << 24
"""Largest JSON file that grows with the data or the model, in bytes: lists of sources, headers of tensors."""
MAX_DEPTH = 32
"""Deepest nesting of JSON. Ours goes five deep; a parser's stack ends at about a thousand."""
MAX_INTEGER = 1 << 64
FILE_ENDINGS = (".json", ".jsonl", ".safetensors", ".bin", ".txt")
POINTERS = ("best", "latest")
"""Files without an ending that name a step."""
STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""Possessive, and with an optional end quote: each byte is read once, also in an open string."""
NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def quoted(name: object, limit: int = 80) -> str:
    """Return a name from a file in printable form: no control characters, limited length.

    >>> print(quoted("a\\x1b[2J"))
    'a\\x1b[2J'
    """
    text = ascii(name)
    return text if len(text) <= limit else f"{text[:limit]}…"


def damaged(file: object, problem: str) -> UserError:
    """Return the error for a file that is not as glassgpt wrote it."""
    return UserError(
        "{file}: {problem}. The file is damaged. Restore a copy of it.", file=file, problem=problem
    )


def unreadable(path: Path, error: OSError) -> UserError:
    """Return the error for a file that the system cannot read."""
    return UserError(
        "{path} cannot be read ({reason}). Check the path and its permissions.",
        path=path,
        reason=error.strerror or error,
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
            "{path} is a link, and a run holds its own files. Replace the link by a copy of its target, if "
            "you trust the target.",
            path=path,
        )
    if not stat.S_ISREG(found.st_mode):
        raise UserError(
            "{path} is a {kind}, not a regular file. Remove it.", path=path, kind=_kind(found.st_mode)
        )
    return found.st_size


def read_capped(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes. Raises UserError for a larger one."""
    size = file_size(path)
    if size > limit:
        raise UserError(
            "{path} has {size:,} bytes, the limit is {limit:,}. Do not use the file.",
            path=path,
            size=size,
            limit=limit,
        )
    return read_start(path, limit)  # the file may have grown since


def read_start(path: Path, n: int) -> bytes:
    """Read the first n bytes of a regular file, or all of a shorter one."""
    file_size(path)
    try:
        with path.open("rb") as file:
            return file.read(n)
    except OSError as error:
        raise unreadable(path, error) from error


def read_json(path: Path, limit: int = MAX_JSON) -> dict[str, Any]:
    """Read the JSON object in a file of at most `limit` bytes."""
    return parse_json(read_capped(path, limit), path)


def parse_json(data: bytes, origin: object) -> dict[str, Any]:
    """Parse a JSON object from an untrusted source; `origin` names it in errors.

    Takes time linear in the data. Raises UserError for a duplicate key: two programs may read different
    values of it, and one checks what the other does not use. Also for deep nesting, an integer beyond 64
    bits, and half of a surrogate pair, which no file can hold.

    >>> parse_json(b'{"a": 1}', "a.json")
    {'a': 1}
    >>> parse_json(b'{"a": 1, "a": 2}', "a.json")
    Traceback (most recent call last):
    glassgpt.errors.UserError: a.json: the key 'a' twice. glassgpt did not write it. Do not use the file.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise _foreign(origin, N_("the key {key} twice", key=quoted(key)))
            found[key] = value
        return found

    def integer(digits: str) -> int:
        if len(digits) > 21 or abs(int(digits)) >= MAX_INTEGER:
            raise _foreign(
                origin,
                N_(
                    "the integer {digits}… of {n_digits:,} digits, beyond 64 bits",
                    digits=digits[:20],
                    n_digits=len(digits),
                ),
            )
        return int(digits)

    try:
        text = data.decode("utf-8")
        _check_depth(data, origin)
        value = json.loads(text, object_pairs_hook=unique, parse_int=integer)
        if SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UserError:
        raise
    except ValueError as error:  # also UnicodeError
        raise damaged(origin, N_("not JSON ({error})", error=error)) from None
    if not isinstance(value, dict):
        raise damaged(origin, N_("a {type}, not an object", type=type(value).__name__))
    return value


def check_entries(folder: Path) -> None:
    """Raise UserError unless a run and its folders hold plain files and folders only.

    The run's own folder may be a link. Writing through a link would change another file; a pipe or a device
    may never end.
    """
    try:
        inner = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
        for part in (folder, *inner):
            for path in part.iterdir():
                _check_entry(path)
    except OSError as error:
        raise unreadable(folder, error) from error


def refuse_hard_links(*paths: Path) -> None:
    """Raise UserError for a file with a second name: writing into it would change that one, too."""
    for path in paths:
        if path.exists() and path.lstat().st_nlink > 1:
            raise UserError(
                "{path} has a second name (a hard link), and training would change both. Copy the run: cp "
                "-r RUN COPY",
                path=quoted(str(path), 300),
            )


def _check_entry(path: Path) -> None:
    mode, shown = path.lstat().st_mode, quoted(str(path), 300)
    if stat.S_ISLNK(mode):
        raise UserError(
            "{shown} is a link, and a run holds its own files; writing through the link would change "
            "another file. If you trust the run, copy it with its links resolved: cp -rL RUN COPY",
            shown=shown,
        )
    is_file_name = path.suffix in FILE_ENDINGS or path.name in POINTERS
    if not (stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and not is_file_name)):
        raise UserError("{shown} is a {kind}, not a regular file. Remove it.", shown=shown, kind=_kind(mode))


def _check_depth(data: bytes, origin: object) -> None:
    """Raise UserError for JSON nested beyond MAX_DEPTH. Takes time linear in the data."""
    depth = 0
    for bracket in STRING.sub(b"", data).translate(None, NO_BRACKET):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise _foreign(origin, N_("JSON nested more than {max_depth} deep", max_depth=MAX_DEPTH))


def _foreign(origin: object, problem: str) -> UserError:
    return UserError(
        "{origin}: {problem}. glassgpt did not write it. Do not use the file.", origin=origin, problem=problem
    )


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))
    return next((name for test, name in kinds if test(mode)), "device")
