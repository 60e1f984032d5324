"""Stretches of text on disk, and the record of one document."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Text:
    """A stretch of a UTF-8 file, read in chunks so that RAM use is bounded."""

    path: Path
    start: int
    """Byte offset of the first character."""
    stop: int
    """Byte offset after the last character."""
    n_chars: int
    """Number of Unicode code points."""
    keeper: object = field(default=None, repr=False, compare=False)
    """Keeps the file alive: a temporary folder lives as long as a text in it."""

    @property
    def n_bytes(self) -> int:
        """Length in bytes of UTF-8."""
        return self.stop - self.start

    def lengths(self) -> dict[str, int]:
        """Return the lengths as a manifest stores them."""
        return {"n_chars": self.n_chars, "n_bytes": self.n_bytes}

    def raw_chunks(self, size: int = 1 << 20) -> Iterator[bytes]:
        """Yield the bytes in chunks of at most `size`. A chunk may end inside a character."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = self.n_bytes
            while left and (piece := file.read(min(size, left))):
                left -= len(piece)
                yield piece

    def chunks(self, size: int = 1 << 20) -> Iterator[str]:
        """Yield the text in chunks of at most about `size` bytes, never splitting a character."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        for piece in self.raw_chunks(size):
            if text := decoder.decode(piece):
                yield text
        decoder.decode(b"", final=True)  # raises if the stretch ends inside a character

    def read(self) -> str:
        """Return the whole text."""
        return "".join(self.chunks())


@dataclass(frozen=True)
class Document:
    """The record of one document: source, encoding, lengths and hash."""

    name: str
    encoding: str
    """Character encoding; for pdf and epub, which contain their own encodings, the format's name."""
    n_chars: int
    """Characters of the extracted text."""
    n_bytes: int
    """Bytes of the source file."""
    sha256: str
    """SHA-256 of the source file."""
