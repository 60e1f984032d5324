"""Sources: resolve files, folders, globs, `-` and named corpora to documents."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, NoReturn

from glassgpt.config import DATASETS, is_built_in
from glassgpt.data.files.archives import (
    as_text_stream,
    is_archive,
    open_archive,
    open_member,
    seekable_copy,
)
from glassgpt.data.files.budget import UnpackBudget
from glassgpt.data.files.corpora import NAMED
from glassgpt.data.files.unreadable import NotText, reading
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.paths import did_you_mean

NEVER_TEXT = frozenset({"__pycache__", "node_modules", "site-packages"})
GENERATED = re.compile(
    r"(?i)^((package|pnpm)-lock|npm-shrinkwrap|composer|go)\.(json|yaml|lock|sum)$"
    r"|^(yarn|poetry|uv|cargo|gemfile|pipfile|flake|mix)\.lock$|\.min\.(js|css)$|\.(js|css)\.map$"
)
"""Names of lock files, and of code that a program has made smaller."""


@dataclass(frozen=True)
class Source:
    """A document, not opened yet."""

    name: str
    open: Callable[[], BinaryIO]
    """Opens a seekable stream, unpacked if the file is gzipped. Raises NotText for an unreadable file."""
    explicit: bool = True
    """True if the user named this very file, not a folder or pattern."""
    budget: UnpackBudget | None = None
    """UnpackBudget of the archive around the document."""


def resolve_sources(given: Iterable[str], follow_links: bool = False) -> list[Source]:
    """List all documents of the given sources in order; each file once.

    Folders and globs are sorted. A link that leads out of its folder is listed as a document that cannot be
    opened, unless `follow_links`: a folder from elsewhere could bring private files into a model. Raises
    UserError for a source that does not exist or is not readable.
    """
    found: dict[str, Source] = {}
    for source in given:
        for key, document in _resolve_one(source, follow_links):
            found.setdefault(key, document)
    return list(found.values())


def hidden_files(given: Iterable[str]) -> list[str]:
    """Return a note for each built-in name that is also the name of a file or folder here."""
    return [
        N_(
            "{source} means what is built in. For the file or folder of this name, give ./{source}.",
            source=source,
        )
        for source in given
        if is_built_in(source) and _exists(Path(source))
    ]


def _resolve_one(given: str, follow_links: bool) -> Iterator[tuple[str, Source]]:
    path = Path(given).expanduser()
    if given == "-":
        yield "-", Source(N_("standard input"), _open_stdin)
    elif given in NAMED:
        name, opener = NAMED[given]
        yield given, Source(name, opener)
    elif given in DATASETS:
        raise UserError(
            "{given!r} is a dataset, not running text. Use `glassgpt train {given}`.", given=given
        )
    elif given and _exists(path):
        if path.is_dir():
            yield from _found(_walk(path, follow_links), path, follow_links)
        else:
            yield os.path.realpath(path), Source(str(path), partial(_open, path))
    elif glob.has_magic(given):
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
        if not matches:
            raise UserError(
                "{given!r}: no file matches the pattern. Check it, or pass the folder itself.", given=given
            )
        recursive = "**" in given  # glob then lists the contents of folders as well
        for match in matches:
            if not match.is_dir():
                yield from _found([match], _fixed_folder(path), follow_links)
            elif not recursive:
                yield from _found(_walk(match, follow_links), _fixed_folder(path), follow_links)
    else:
        names = [*NAMED, *DATASETS]
        remedy = did_you_mean(path, names) or N_(
            "Check the path, or give a built-in name: {names}.", names=", ".join(names)
        )
        raise UserError("{given!r}: no such file, folder or corpus. {remedy}", given=given, remedy=remedy)


def _found(paths: Iterable[Path], folder: Path, follow_links: bool) -> Iterator[tuple[str, Source]]:
    """Yield the files found in a folder. Links out of it, and folders that cannot be listed, have no text."""
    inside = os.path.join(os.path.realpath(folder), "")
    for path in paths:
        real = os.path.realpath(path)
        if follow_links or os.path.join(real, "").startswith(inside):
            if not path.is_symlink() or path.is_file():  # a folder inside is listed without its links
                opener = _refuse_generated if GENERATED.search(path.name) else _open
                yield real, Source(str(path), partial(opener, path), explicit=False)
        else:
            yield real, Source(str(path), partial(_refuse_link, path), explicit=False)


def _walk(folder: Path, follow_links: bool) -> Iterator[Path]:
    """Yield the files of a folder tree, sorted, without hidden files, generated files and dependencies.

    Folders that cannot be listed, and links to folders that are not followed, are yielded themselves.
    """
    unlisted: list[OSError] = []
    seen = {os.path.realpath(folder)}
    for root, folders, files in os.walk(folder, onerror=unlisted.append, followlinks=follow_links):
        folders[:] = sorted(each for each in folders if not _is_skipped(Path(root, each)))
        for link in [path for each in folders if (path := Path(root, each)).is_symlink()]:
            if not follow_links:
                yield link
            elif (real := os.path.realpath(link)) in seen:  # a circle
                folders.remove(link.name)
            else:
                seen.add(real)
        yield from (path for file in sorted(files) if file[0] != "." and (path := Path(root, file)).is_file())
    yield from (Path(error.filename) for error in unlisted)


def _fixed_folder(pattern: Path) -> Path:
    """Return the folder of a pattern before its first wildcard.

    >>> _fixed_folder(Path("data/a/*/b*.txt")).as_posix(), _fixed_folder(Path("*.txt")).as_posix()
    ('data/a', '.')
    """
    return next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))


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


def _open(path: Path) -> BinaryIO:
    if path.is_dir():
        raise NotText("cannot read {path}: the folder cannot be listed. Change its permissions.", path=path)
    try:
        file = path.open("rb")
    except OSError as error:
        _refuse(error)
    if not file.seekable():
        with file:  # a pipe
            file = seekable_copy(file)
    return as_text_stream(file, str(path))


def _open_stdin() -> BinaryIO:
    return seekable_copy(sys.stdin.buffer)


def _refuse(error: OSError) -> NoReturn:
    raise NotText(
        "cannot read {filename}: {strerror}. Change its permissions, or leave it out.",
        filename=error.filename,
        strerror=error.strerror,
    ) from error


def _refuse_generated(path: Path) -> NoReturn:
    raise NotText("{path}: a program made this file. Name it to read it.", path=path)


def _refuse_link(path: Path) -> NoReturn:
    raise NotText(
        "{path}: this is a link out of the folder. Set `follow_links` to read it, if you trust it.", path=path
    )


def unpack(source: Source) -> Iterator[Source]:
    """Yield the members of a zip or tar file as documents; yield any other source unchanged.

    An archive that cannot be read is yielded as a document that raises, or raises if the user named it.
    """
    if not is_archive(source.name):
        yield source
        return
    with ExitStack() as stack:
        try:
            with reading(source.name):
                stream = stack.enter_context(source.open())
                budget = UnpackBudget.of(stream, source.name)
                archive = open_archive(stream, source.name, budget)
                stack.enter_context(archive.file)
        except NotText as problem:
            if source.explicit:
                raise
            yield replace(source, open=partial(_raise, problem))
            return
        for path in archive.text_members():
            name = f"{source.name}/{path}"
            open_it = partial(open_member, archive, path, name, budget)
            yield Source(name, open_it, explicit=False, budget=budget)


def _raise(problem: NotText) -> NoReturn:
    raise problem
