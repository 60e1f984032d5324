"""What a corpus is once it has been read: two stretches of UTF-8 text on disk and a record of where they came from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Text:
    """A stretch of a UTF-8 file, read in pieces so that its size never matters.

    `start` and `stop` are byte offsets at character borders; `n_chars` counts Unicode code points.
    """

    path: Path
    start: int
    stop: int
    n_chars: int

    @property
    def n_bytes(self) -> int:
        """Length in bytes of UTF-8."""
        return self.stop - self.start

    def chunks(self, size: int = 1 << 20) -> Iterator[str]:
        """The text in pieces of at most about `size` bytes, never cutting a character."""
        raise NotImplementedError

    def read(self) -> str:
        """The whole text in memory."""
        return "".join(self.chunks())


@dataclass(frozen=True)
class Document:
    """One document that was read: where from, in which encoding, how long, and the hash of its source bytes."""

    name: str
    encoding: str
    n_chars: int
    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class Corpus:
    """Text to learn from and, at its end, text held out to measure on. Newlines are `\\n` throughout."""

    train: Text
    val: Text
    documents: tuple[Document, ...]
    notes: tuple[str, ...] = field(default=())
    """What the user should hear: a detected encoding that isn't UTF-8, skipped files, passages in both splits."""
