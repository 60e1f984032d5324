"""Spool: one UTF-8 file that collects all documents, so RAM never holds a whole corpus.

Text comes in as chunks and leaves as two `Text`s. Formats and encodings are handled in `data.files`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Self

from glassgpt.data.corpus.text import Text
from glassgpt.data.files import replace_surrogates
from glassgpt.errors import UserError

FILE_NAME = "corpus.txt"
PIECE_CHARS = 1 << 20
"""Characters written at once, and the distance of the marks in the file."""


class TemporaryFolder:
    """A temporary folder, removed with the last reference to it by the process that made it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="glassgpt-"))
        self._finalizer = weakref.finalize(self, _remove, self.path, os.getpid())


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked worker drops only its copy of the reference
        shutil.rmtree(folder, ignore_errors=True)


class Spool:
    """Documents joined by blank lines in one file, in `folder` or in a temporary folder.

    >>> spool = Spool()
    >>> [spool.add(["one\\r\\n"]), spool.add(["two"])], spool.n_chars
    ([4, 3], 8)
    >>> train, val = spool.split(5)
    >>> train.read(), val.read()
    ('one\\n\\n', 'two')
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._keeper = None if folder else TemporaryFolder()
        self.path = (folder or self._keeper.path) / FILE_NAME  # pyright: ignore[reportOptionalMemberAccess]
        self.n_chars = 0
        # (characters, bytes) before each piece: the search for a character's offset starts at one of them.
        self._marks = [(0, 0)]
        self._n_bytes = 0
        self._ends_with = "\n\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self.path.open("wb")
        except OSError as error:
            raise self._refused(error) from error

    def add(self, pieces: Iterable[str]) -> int:
        """Append one document and return its length in characters.

        A blank document is not written; its length is 0. After an error the spool is as it was before.
        """
        before = (self.n_chars, self._n_bytes, self._ends_with)
        if self._ends_with != "\n\n":
            self._write("\n" if self._ends_with[-1] == "\n" else "\n\n")
        start, blank = self.n_chars, True
        try:
            for piece in pieces:
                if self.n_chars == start:
                    piece = piece.removeprefix("\ufeff")
                if "\r" in piece:  # in values of json and pdf; decoded streams have only \n
                    piece = piece.replace("\r\n", "\n").replace("\r", "\n")
                for at in range(0, len(piece), PIECE_CHARS):
                    self._write(piece[at : at + PIECE_CHARS])
                blank = blank and not piece.strip()
        except BaseException:
            self._cut(*before)
            raise
        if blank:
            self._cut(*before)
            return 0
        return self.n_chars - start

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if kind is not None:
            self.path.unlink(missing_ok=True)  # an incomplete corpus is of no use

    def split(self, n_train: int) -> tuple[Text, Text]:
        """Return the first `n_train` characters and the rest. Nothing can be added afterwards."""
        self._file.close()
        chars, offset = self._marks[bisect_right(self._marks, n_train, key=lambda mark: mark[0]) - 1]
        with self.path.open("rb") as file:
            file.seek(offset)
            near = file.read(4 * (n_train - chars))  # no character is longer than 4 bytes
        middle = offset + len(near.decode("utf-8", "ignore")[: n_train - chars].encode())
        return (
            Text(self.path, 0, middle, n_train, self._keeper),
            Text(self.path, middle, self._n_bytes, self.n_chars - n_train, self._keeper),
        )

    def _write(self, text: str) -> None:
        if not text:
            return
        try:
            data = text.encode()
        except UnicodeEncodeError:  # a lone surrogate: json can spell it, UTF-8 cannot
            text = replace_surrogates(text)
            data = text.encode()
        try:
            self._file.write(data)
        except OSError as error:
            raise self._refused(error) from error
        self.n_chars += len(text)
        self._n_bytes += len(data)
        self._ends_with = (self._ends_with + text[-2:])[-2:]
        if self._n_bytes - self._marks[-1][1] >= PIECE_CHARS:
            self._marks.append((self.n_chars, self._n_bytes))

    def _cut(self, n_chars: int, n_bytes: int, ends_with: str) -> None:
        self.n_chars, self._n_bytes, self._ends_with = n_chars, n_bytes, ends_with
        while self._marks[-1][1] > n_bytes:
            self._marks.pop()
        self._file.seek(n_bytes)
        self._file.truncate()

    def _refused(self, error: OSError) -> UserError:
        return UserError(
            f"cannot write the text to {self.path.parent}: {error.strerror}. "
            "Free some space, or choose another folder with write permission."
        )
