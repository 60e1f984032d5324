"""Spool: one UTF-8 file that collects all documents, so RAM never holds a whole corpus.

Text comes in as chunks, with its documents and rows marked, and leaves as `Text`s. Formats and encodings are
handled in `data.files`; split.py decides which stretches are held out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from glassgpt.data.corpus.text import Stretch, Text
from glassgpt.data.files import replace_surrogates
from glassgpt.errors import UserError
from glassgpt.tokenizers import END_OF_DOCUMENT

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


class Segment(NamedTuple):
    """A document, or a row of one, with the blank line after it."""

    first_char: int
    """Offset in characters of the whole text."""
    stretch: Stretch
    digest: int
    """Hash of the text without the blank line: equal parts have equal ones."""


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
        self._has_marks = False
        # Of each part: its first character and byte, and the hash of its text.
        self._part_chars, self._part_bytes, self._digests = array("q"), array("q"), array("Q")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self.path.open("wb")
        except OSError as error:
            raise self._refused(error) from error

    def add(self, pieces: Iterable[str], rows: bool = False) -> int:
        """Append one document and return its length in characters.

        rows: each piece is a row, a part of its own; after the first one it begins with a blank line. A blank
        document is not written; its length is 0. After an error the spool is as it was before.
        """
        before = (self.n_chars, self._n_bytes, self._ends_with)
        if self._ends_with != "\n\n":
            self._write("\n" if self._ends_with[-1] == "\n" else "\n\n")
        start, blank = self.n_chars, True
        self._begin_part()
        try:
            for piece in pieces:
                if self.n_chars == start:
                    piece = piece.removeprefix("\ufeff")
                elif rows:
                    self._write("\n\n")
                    self._begin_part()
                    piece = piece.removeprefix("\n\n")
                if "\r" in piece:  # in values of json and pdf; decoded streams have only \n
                    piece = piece.replace("\r\n", "\n").replace("\r", "\n")
                for at in range(0, len(piece), PIECE_CHARS):
                    self._write(piece[at : at + PIECE_CHARS])
                self._hash_part(piece)
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

    @property
    def n_bytes(self) -> int:
        """Length in bytes of what was added."""
        return self._n_bytes

    def part_start(self, i: int) -> int:
        """Return the offset in bytes of document or row i."""
        return self._part_bytes[i]

    @property
    def n_parts(self) -> int:
        """Number of documents and rows."""
        return len(self._digests)

    def parts(self) -> Iterator[Segment]:
        """Yield the documents and rows in order. Together they are the whole text."""
        chars, offsets = [*self._part_chars, self.n_chars], [*self._part_bytes, self._n_bytes]
        for i, digest in enumerate(self._digests):
            yield Segment(chars[i], Stretch(offsets[i], offsets[i + 1], chars[i + 1] - chars[i]), digest)

    def whole(self) -> Text:
        """Return the whole text. Nothing can be added afterwards."""
        return self.text([Stretch(0, self._n_bytes, self.n_chars)])

    def text(self, stretches: Iterable[Stretch]) -> Text:
        """Return stretches as a text; neighbors become one. Nothing can be added afterwards."""
        self._file.close()
        joined = list[Stretch]()
        for stretch in stretches:
            if joined and joined[-1].stop == stretch.start:
                last = joined.pop()
                stretch = Stretch(last.start, stretch.stop, last.n_chars + stretch.n_chars)
            if stretch.n_chars:
                joined.append(stretch)
        return Text(self.path, tuple(joined), self._keeper)

    def split(self, n_train: int) -> tuple[Text, Text]:
        """Return the first `n_train` characters and the rest. Nothing can be added afterwards."""
        middle = self.offset(n_train)
        return (
            self.text([Stretch(0, middle, n_train)]),
            self.text([Stretch(middle, self._n_bytes, self.n_chars - n_train)]),
        )

    def offset(self, n_chars: int) -> int:
        """Return the offset in bytes after the first n characters."""
        chars, offset = self._marks[bisect_right(self._marks, n_chars, key=lambda mark: mark[0]) - 1]
        return offset + len(self._read(offset, 4 * (n_chars - chars))[: n_chars - chars].encode())

    def line_start(self, n_chars: int, reach: int) -> tuple[int, int]:
        """Return characters and bytes before the first line at or after a character, or before the character.

        reach: number of characters to look through for the end of a line.
        """
        offset = self.offset(n_chars)
        before, newline, _ = self._read(offset, 4 * reach)[:reach].partition("\n")
        skipped = before + newline if newline else ""
        return n_chars + len(skipped), offset + len(skipped.encode())

    def mark_ends(self) -> bool:
        """Replace the first newline of the blank line after each part, if there is one, by END_OF_DOCUMENT.

        Lengths and offsets stay. Returns False, and changes nothing, for a text that holds the mark itself.
        """
        if self._has_marks:
            return False
        self._file.close()
        with self.path.open("r+b") as file:
            for start in self._part_bytes[1:]:
                file.seek(start - 2)
                file.write(END_OF_DOCUMENT.encode())
        return True

    def rewrite(self, pieces: Iterable[str]) -> None:
        """Replace the whole text by one document."""
        self._file.close()
        self._file = self.path.open("wb")
        self._cut(0, 0, "\n\n")
        self.add(pieces)

    def _read(self, offset: int, n_bytes: int) -> str:
        if not self._file.closed:
            self._file.flush()
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(n_bytes).decode("utf-8", "ignore")

    def _begin_part(self) -> None:
        self._part_chars.append(self.n_chars)
        self._part_bytes.append(self._n_bytes)
        self._digests.append(0)
        self._hash = hashlib.blake2b(digest_size=8)

    def _hash_part(self, text: str) -> None:
        self._hash.update(text.encode("utf-8", "replace"))
        self._digests[-1] = int.from_bytes(self._hash.digest(), "little")

    def _write(self, text: str) -> None:
        if not text:
            return
        self._has_marks = self._has_marks or END_OF_DOCUMENT in text
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
        n_parts = bisect_left(self._part_chars, n_chars)
        for column in (self._part_chars, self._part_bytes, self._digests):
            del column[n_parts:]
        self._file.seek(n_bytes)
        self._file.truncate()

    def _refused(self, error: OSError) -> UserError:
        return UserError(
            "cannot write the text to {parent}: {strerror}. Free some space, or choose another folder with "
            "write permission.",
            parent=self.path.parent,
            strerror=error.strerror,
        )
