"""Zip, tar and gzip files, read with a budget. No file is extracted under the name in the archive."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO, cast

from glassgpt.data.files.budget import UnpackBudget
from glassgpt.data.files.charset import not_text
from glassgpt.data.files.parquet import PARQUET, parquet_lines
from glassgpt.data.files.signatures import HEAD, ZIP, certain_kind
from glassgpt.data.files.unreadable import NotText, reading
from glassgpt.language import N_

PIECE = 1 << 20
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods that `zipfile` unpacks in bounded pieces. Of bzip2 and lzma it unpacks gigabytes at once."""
OTHERS = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma", 9: "deflate64", 93: "zstd", 95: "xz"}
"""Names of the other methods."""


def open_zip(stream: BinaryIO, name: str, budget: UnpackBudget | None = None) -> zipfile.ZipFile:
    """Open an archive and check its declared sizes; `zipfile` never reads more than these.

    budget: that of the source around it; by default a new one for the stream. Raises NotText for a damaged
    archive, for one over the limits, for a password and for a compression method other than METHODS.
    """
    budget = budget or UnpackBudget.of(stream, name)
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        stream.seek(0)
        if (kind := certain_kind(stream.read(HEAD))) and kind is not ZIP:
            raise not_text(name, kind) from error
        raise NotText(
            "{name}: this is not a readable zip file ({error}). Extract it and pass the folder.",
            name=name,
            error=error,
        ) from error
    UnpackBudget.of(stream, name).spend(sum(info.file_size for info in archive.infolist()))
    for info in archive.infolist():
        if info.flag_bits & 1:
            raise NotText("{name}: a password protects it. Extract it and pass the folder.", name=name)
        if info.compress_type not in METHODS:
            method = OTHERS.get(info.compress_type, N_("method {number}", number=info.compress_type))
            raise NotText(
                "{name}: it is compressed with {method}; only deflate is supported. Extract it and pass the "
                "folder.",
                name=name,
                method=method,
            )
    return archive


@dataclass(frozen=True)
class Archive:
    """An open archive."""

    file: AbstractContextManager[Any]
    members: Mapping[str, Callable[[], IO[bytes]]]
    """Opens each file, by its path inside the archive."""

    def text_members(self) -> list[str]:
        """List the files by name, without hidden files and those added by macOS."""
        hidden = (".", "__MACOSX", "__pycache__")
        return sorted(
            path
            for path in self.members
            if not any(part.startswith(hidden) for part in PurePosixPath(path).parts)
        )


def open_archive(stream: BinaryIO, name: str, budget: UnpackBudget) -> Archive:
    """Open a zip or tar file, see `open_zip`; a gzipped tar file is unpacked first."""
    if name.lower().endswith(".zip"):
        archive = open_zip(stream, name, budget)
        files = [info for info in archive.infolist() if not info.filename.endswith("/")]
        members = {info.filename: partial(archive.open, info) for info in files}
        return Archive(archive, members)
    with ExitStack() as stack:
        if name.lower().endswith((".gz", ".tgz")):
            stream = stack.enter_context(closing(gunzip(stream, name, budget)))
        try:
            tar = stack.enter_context(tarfile.open(fileobj=stream, mode="r:"))
            members = {info.name: partial(_tar_member, tar, info) for info in tar if info.isfile()}
        except tarfile.TarError as error:
            raise NotText(
                "{name}: this is not a readable tar file ({error}). Extract it and pass the folder.",
                name=name,
                error=error,
            ) from error
        return Archive(stack.pop_all(), members)


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    member = tar.extractfile(info)
    assert member is not None  # a regular file
    return member


def is_archive(name: str) -> bool:
    """Return True if the name ends as that of a zip or tar file.

    >>> [is_archive(name) for name in ("a.ZIP", "a.tar.gz", "a.tgz", "a.tar", "a.txt.gz")]
    [True, True, True, True, False]
    """
    return name.lower().endswith(ARCHIVES)


def open_member(archive: Archive, path: str, name: str, budget: UnpackBudget) -> BinaryIO:
    """Open one member as a seekable stream, unpacked if it is gzipped."""
    if is_archive(path):
        raise NotText("{name}: this is an archive within an archive. Extract the outer one.", name=name)
    with reading(name):
        with archive.members[path]() as member:
            copy = seekable_copy(member, budget)
        return as_text_stream(copy, name, budget)


def as_text_stream(stream: BinaryIO, name: str, budget: UnpackBudget | None = None) -> BinaryIO:
    """Return a stream that readers take: a gzipped file unpacked, a parquet table as jsonl."""
    if is_gzip(name) and not is_archive(name):
        return gunzip(stream, name, budget)
    return parquet_lines(stream, name) if name.lower().endswith(PARQUET) else stream


def read_member(archive: zipfile.ZipFile, path: str, name: str, budget: UnpackBudget, limit: int) -> bytes:
    """Return one member of a document that is an archive. Raises NotText over `limit` bytes."""
    info = archive.getinfo(path)
    if info.file_size > limit:
        raise NotText(
            "{name}: {path} is larger than {limit:,} bytes. Save the document as plain text.",
            name=name,
            path=path,
            limit=limit,
        )
    budget.spend(info.file_size)
    return archive.read(info)


def is_gzip(name: str) -> bool:
    """Return True if the name ends in `.gz`."""
    return name.lower().endswith(".gz")


def gunzip(stream: BinaryIO, name: str, budget: UnpackBudget | None = None) -> BinaryIO:
    """Unpack a gzipped stream to a seekable one, and close it.

    Raises NotText for a damaged file and for one over the budget.
    """
    with reading(name), closing(stream), gzip.open(stream) as unpacked:
        return seekable_copy(cast(IO[bytes], unpacked), budget or UnpackBudget.of(stream, name))


def seekable_copy(stream: IO[bytes], budget: UnpackBudget | None = None) -> BinaryIO:
    """Copy the rest of a stream to RAM, or to a temporary file if it is large."""
    copy = tempfile.SpooledTemporaryFile(max_size=16 << 20)
    try:
        while piece := stream.read(PIECE):
            if budget:
                budget.spend(len(piece))
            copy.write(piece)
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return cast(BinaryIO, copy)
