"""Zip files, opened with limits on their uncompressed size and read member by member.

No file is extracted under the name in the archive.
"""

from __future__ import annotations

import gzip
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, BinaryIO, cast

from glassgpt.data.files.charset import NotText
from glassgpt.errors import UserError

MAX_UNZIPPED = 20 << 30
"""Limit of an archive's uncompressed size, in bytes."""
MAX_RATIO = 200
"""Limit of the compression ratio; prose stays under 10, logs under 100."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
DAMAGED = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)


@contextmanager
def refuse_damage(name: str) -> Iterator[None]:
    """Turn the errors of a damaged archive or compressed file into UserError."""
    try:
        yield
    except DAMAGED as error:
        raise UserError(f"{name}: the file is damaged ({error}). Download or pack it again.") from error


def open_zip(stream: BinaryIO, name: str) -> zipfile.ZipFile:
    """Open an archive and check its declared sizes; `zipfile` never reads more than these.

    Raises UserError for a damaged archive and for one over the limits.
    """
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UserError(
            f"{name}: this is not a readable zip file ({error}). Extract it and pass the folder."
        ) from error
    infos = archive.infolist()
    total, packed = sum(i.file_size for i in infos), sum(i.compress_size for i in infos)
    if total > MAX_UNZIPPED or total > MAX_RATIO * packed + (1 << 20):
        raise UserError(
            f"{name}: its {packed:,} bytes would expand to {total:,}; the limits are {MAX_UNZIPPED:,} bytes "
            f"and {MAX_RATIO} times its size. If you trust it, extract it and pass the folder."
        )
    return archive


def text_members(archive: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    """List the files of an archive by name, without hidden files and those added by macOS.

    Raises UserError for a password and for an unsupported compression method.
    """
    hidden = (".", "__MACOSX", "__pycache__")
    infos = [
        info
        for info in archive.infolist()
        if not info.is_dir()
        and not any(part.startswith(hidden) for part in PurePosixPath(info.filename).parts)
    ]
    for info in infos:
        if info.flag_bits & 1:
            raise UserError(f"{name}: a password protects it. Extract it and pass the folder.")
        if info.compress_type not in METHODS:
            raise UserError(
                f"{name}/{info.filename}: its compression method is not supported. Extract the archive and "
                "pass the folder."
            )
    return sorted(infos, key=lambda info: info.filename)


def open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> BinaryIO:
    """Open one member as a seekable stream."""
    if info.filename.lower().endswith(".zip"):
        raise NotText(f"{name}: this is an archive within an archive. Extract the outer one.")
    with archive.open(info) as member:
        return seekable_copy(member)


def seekable_copy(stream: IO[bytes]) -> BinaryIO:
    """Copy the rest of a stream to RAM, or to a temporary file if it is large."""
    copy = tempfile.SpooledTemporaryFile(max_size=16 << 20)
    try:
        shutil.copyfileobj(stream, copy, 1 << 20)
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return cast(BinaryIO, copy)
