"""Text on disk, as stretches of one file, and the record of one document."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple


class Stretch(NamedTuple):
    """A part of a text: offsets of its first character and after its last one."""

    start: int
    """In bytes."""
    stop: int
    n_chars: int
    """Number of Unicode code points."""


@dataclass(frozen=True)
class Text:
    """Stretches of a UTF-8 file, read in chunks so that RAM use is bounded."""

    path: Path
    stretches: tuple[Stretch, ...]
    """In order. None begins or ends inside a character."""
    keeper: object = field(default=None, repr=False, compare=False)
    """Keeps the file alive: a temporary folder lives as long as a text in it."""

    @cached_property
    def n_chars(self) -> int:
        """Number of Unicode code points."""
        return sum(stretch.n_chars for stretch in self.stretches)

    @cached_property
    def n_bytes(self) -> int:
        """Length in bytes of UTF-8."""
        return sum(stretch.stop - stretch.start for stretch in self.stretches)

    def lengths(self) -> dict[str, int]:
        """Return the lengths as a manifest stores them."""
        return {"n_chars": self.n_chars, "n_bytes": self.n_bytes}

    def raw_chunks(self, size: int = 1 << 20) -> Iterator[bytes]:
        """Yield the bytes in chunks of `size`, the last one shorter. A chunk may end inside a character."""
        waiting, n = list[bytes](), 0
        for piece in self._pieces(size):
            while n + len(piece) >= size:
                yield b"".join([*waiting, piece[: size - n]])
                piece, waiting, n = piece[size - n :], [], 0
            waiting.append(piece)
            n += len(piece)
        if n:
            yield b"".join(waiting)

    def _pieces(self, size: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            for start, stop, _ in self.stretches:
                file.seek(start)
                left = stop - start
                while left and (piece := file.read(min(size, left))):
                    left -= len(piece)
                    yield piece

    def last_bytes(self, n: int) -> bytes:
        """Return the last n bytes, or all; the first character may be cut."""
        kept, left = list[bytes](), n
        with self.path.open("rb") as file:
            for start, stop, _ in reversed(self.stretches):
                file.seek(begin := max(start, stop - left))
                kept.append(file.read(stop - begin))
                if not (left := left - (stop - begin)):
                    break
        return b"".join(reversed(kept))

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
