"""Zip files: opened with limits on what they may unfold to, and read member by member.

Nothing is extracted under the name that an archive gives it.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import PurePosixPath
from typing import IO, BinaryIO, cast

from glassgpt.data.files.charset import NotText
from glassgpt.errors import UserError

MAX_UNZIPPED = 20 << 30
"""Bytes that the members of one archive may have together."""
MAX_RATIO = 200
"""How many times larger than the archive its content may be; prose stays under 10, logs under 100."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def open_zip(stream: BinaryIO, name: str) -> zipfile.ZipFile:
    """An archive whose declared sizes are within the limits; `zipfile` never reads past the declared size."""
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UserError(
            f"{name} is not a readable zip file ({error}); unpack it and give the folder"
        ) from error
    infos = archive.infolist()
    total, packed = sum(i.file_size for i in infos), sum(i.compress_size for i in infos)
    if total > MAX_UNZIPPED or total > MAX_RATIO * packed + (1 << 20):
        raise UserError(
            f"{name} would unfold from {packed:,} to {total:,} bytes; the limits are {MAX_UNZIPPED:,} bytes "
            f"and {MAX_RATIO} times its size. If you trust it, unpack it and give the folder"
        )
    return archive


def text_members(archive: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    """The files inside, sorted by name, without hidden ones and those that macOS adds."""
    hidden = (".", "__MACOSX", "__pycache__")
    infos = [
        info
        for info in archive.infolist()
        if not info.is_dir()
        and not any(part.startswith(hidden) for part in PurePosixPath(info.filename).parts)
    ]
    for info in infos:
        if info.flag_bits & 1:
            raise UserError(f"{name} is locked with a password; unpack it and give the folder")
        if info.compress_type not in METHODS:
            raise UserError(
                f"{name}/{info.filename} is packed in an unusual way; unpack it and give the folder"
            )
    return sorted(infos, key=lambda info: info.filename)


def open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> BinaryIO:
    """One member as a stream that can be read more than once."""
    if info.filename.lower().endswith(".zip"):
        raise NotText(f"{name} is an archive within an archive; unpack the outer one")
    with archive.open(info) as member:
        return seekable_copy(member)


def seekable_copy(stream: IO[bytes]) -> BinaryIO:
    """The rest of a stream, in memory while it is small and in a temporary file when it isn't."""
    copy = tempfile.SpooledTemporaryFile(max_size=16 << 20)
    try:
        shutil.copyfileobj(stream, copy, 1 << 20)
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return cast(BinaryIO, copy)
