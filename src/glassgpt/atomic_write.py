"""Atomic replacement of one file, for writers below `checkpoint`, and a flush to the disk.

`replacing` syncs nothing: a run syncs its files before its first checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing", "sync"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, and rename the file there to `path` at the end.

    After an error, `path` is as it was before, and the temporary file is gone.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with replacing(path) as temporary:
    ...     _ = temporary.write_text("one")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('one', ['notes.txt'])
    """
    temporary = path.with_name(f".{path.name}.writing")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Flush a file's bytes, or a folder's names, to disk.

    Windows has no such call for folders.
    """
    folder = path.is_dir()
    if os.name == "nt" and folder:
        return
    # Windows syncs only a file that is open for writing; a folder can only be opened for reading.
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
