"""A stretch of text on disk, and the record of one document. How they come to be stands in spool.py."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Text:
    """A stretch of a UTF-8 file, read in pieces so that its size never matters.

    `start` and `stop` are byte offsets at character borders; `n_chars` counts Unicode code points. `keeper`
    is whatever keeps the file from being removed: a temporary folder lives as long as a text that lies in it.
    """

    path: Path
    start: int
    stop: int
    n_chars: int
    keeper: object = field(default=None, repr=False, compare=False)

    @property
    def n_bytes(self) -> int:
        """Length in bytes of UTF-8."""
        return self.stop - self.start

    def raw_chunks(self, size: int = 1 << 20) -> Iterator[bytes]:
        """The bytes in pieces of at most `size`, which may cut a character."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = self.n_bytes
            while left and (piece := file.read(min(size, left))):
                left -= len(piece)
                yield piece

    def chunks(self, size: int = 1 << 20) -> Iterator[str]:
        """The text in pieces of at most about `size` bytes, never cutting a character."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        for piece in self.raw_chunks(size):
            if text := decoder.decode(piece):
                yield text
        decoder.decode(b"", final=True)  # raises where the stretch ends inside a character

    def read(self) -> str:
        """The whole text in memory."""
        return "".join(self.chunks())


@dataclass(frozen=True)
class Document:
    """One document that was read: where from, in which encoding, how long, and the hash of its source bytes.

    `n_chars` counts the text taken from it, `n_bytes` and `sha256` describe the source as it was found. For
    pdf and epub, which declare their own encodings inside, `encoding` is the name of the format.
    """

    name: str
    encoding: str
    n_chars: int
    n_bytes: int
    sha256: str
