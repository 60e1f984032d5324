"""Sources: resolve files, folders, globs, `-` and named corpora to documents."""

from __future__ import annotations

import difflib
import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from glassgpt.data.files.archives import open_member, open_zip, seekable_copy, text_members
from glassgpt.data.files.corpora import NAMED
from glassgpt.errors import UserError

NEVER_TEXT = frozenset({"__pycache__", "node_modules", "site-packages"})


@dataclass(frozen=True)
class Source:
    """A document, not opened yet."""

    name: str
    open: Callable[[], BinaryIO]
    """Opens a seekable stream."""
    explicit: bool = True
    """True if the user named this very file, not a folder or pattern."""


def resolve_sources(given: Iterable[str]) -> list[Source]:
    """List all documents of the given sources in order; each file once.

    Folders and globs are sorted. Raises UserError for a source that does not exist or is not readable.
    """
    found: dict[str, Source] = {}
    for source in given:
        for key, document in _resolve_one(source):
            found.setdefault(key, document)
    return list(found.values())


def _resolve_one(given: str) -> Iterator[tuple[str, Source]]:
    path = Path(given).expanduser()
    if given == "-":
        yield "-", Source("standard input", _open_stdin)
    elif given and _exists(path):
        yield from _documents(path, explicit=True)
    elif given in NAMED:
        name, opener = NAMED[given]
        yield given, Source(name, opener)
    elif glob.has_magic(given):
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
        if not matches:
            raise UserError(f"{given!r}: no file matches the pattern. Check it, or pass the folder itself.")
        recursive = "**" in given  # glob then lists the contents of folders as well
        for match in matches:
            if not (recursive and match.is_dir()):
                yield from _documents(match, explicit=False)
    else:
        raise UserError(f"{given!r}: no such file, folder or corpus. {_suggestion(path)}")


def _documents(path: Path, explicit: bool) -> Iterator[tuple[str, Source]]:
    files = _walk(path) if path.is_dir() else [path]
    for file in files:
        yield os.path.realpath(file), Source(str(file), partial(_open, file), explicit and file is path)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder tree, sorted, without hidden files, generated files and dependencies."""
    for root, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(each for each in folders if not _is_skipped(Path(root, each)))
        yield from (path for file in sorted(files) if file[0] != "." and (path := Path(root, file)).is_file())


def _is_skipped(folder: Path) -> bool:
    virtual_environment = (folder / "pyvenv.cfg").exists()
    own_run = (folder / "metrics.jsonl").exists() and (folder / "config.json").exists()
    return folder.name[0] == "." or folder.name in NEVER_TEXT or virtual_environment or own_run


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError as error:
        _refuse(error)
    except (OSError, ValueError):  # also impossible names: too long, or with a zero character
        return False
    return True


def _suggestion(path: Path) -> str:
    try:
        names = {each.name: str(each) for each in path.parent.iterdir()}
    except (OSError, ValueError):
        names = {}
    close = difflib.get_close_matches(path.name, names | dict.fromkeys(NAMED, ""), n=3, cutoff=0.6)
    if not close:
        return f"Check the path, or name a corpus: {', '.join(NAMED)}."
    return f"Did you mean {' or '.join(repr(names.get(each) or each) for each in close)}?"


def _open(path: Path) -> BinaryIO:
    try:
        file = path.open("rb")
    except OSError as error:
        _refuse(error)
        raise
    if file.seekable():
        return file
    with file:  # a pipe
        return seekable_copy(file)


def _open_stdin() -> BinaryIO:
    return seekable_copy(sys.stdin.buffer)


def _refuse(error: OSError) -> None:
    raise UserError(
        f"cannot read {error.filename}: {error.strerror}. Change its permissions, or leave it out."
    ) from error


def unpack(source: Source) -> Iterator[Source]:
    """Yield the members of a zip file as documents; yield any other source unchanged."""
    if not source.name.lower().endswith(".zip"):
        yield source
        return
    with source.open() as stream, open_zip(stream, source.name) as archive:
        for info in text_members(archive, source.name):
            name = f"{source.name}/{info.filename}"
            yield Source(name, partial(open_member, archive, info, name), explicit=False)
