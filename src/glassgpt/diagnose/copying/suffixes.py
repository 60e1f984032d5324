"""Suffix array of a text on disk: finds any passage of it in a few dozen comparisons.

Only suffixes that begin a character are kept, so a character costs at most 8 bytes: up to 4 of UTF-8, and 4
of its suffix. A text of any size is sorted in chunks, so RAM is bounded. Files are memory-mapped.

Source: Manber and Myers 1993, "Suffix arrays: a new method for on-line string searches".
"""

from __future__ import annotations

import json
import secrets
import shutil
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from glassgpt.errors import UserError, cannot_write, missing_extra
from glassgpt.language import N_
from glassgpt.safe_io import damaged, file_size, read_json

UNFINISHED = ".writing-copying-"
"""Beginning of the name of a folder that a build has not finished."""
FORMAT = 1
CAP = 64
"""Bytes of a suffix that are compared for all positions at once."""
END = b"\xff" * CAP
"""End of the text. No UTF-8 text holds this byte, so no match goes beyond the end."""
OVERLAP = 1 << 16
"""Bytes after a chunk that order its suffixes, and the longest passage that is found as a whole."""
CHUNK = 1 << 28
"""Bytes of text that are sorted at once: about 2 GB of RAM."""
RAM_PER_BYTE = 8
"""RAM for sorting, per byte of a chunk: the text twice, its suffixes, and a selection of them."""
BYTES_PER_S = 3e6
"""Bytes of text that are sorted in a second on a slow core."""
PIECE = 1 << 22
SAMPLED = 1 << 20
"""Suffixes of a chunk whose first bytes are kept in RAM, at most."""
TEXT, SUFFIXES, ABOUT = "text.bin", "suffixes.bin", "index.json"


class Chunk(NamedTuple):
    """A part of the text, and the place of its suffixes."""

    start: int
    """Offset of the first byte."""
    first: int
    """Index of its first suffix."""
    n: int
    """Number of its suffixes."""


class Sample(NamedTuple):
    """Every `step`-th suffix of a chunk by its first 16 bytes, in order."""

    step: int
    first: np.ndarray
    """Bytes 0 to 8 as a number: (n / step,) of uint64."""
    second: np.ndarray
    """Bytes 8 to 16: (n / step,) of uint64."""
    ends: np.ndarray
    """Place after the last sample with the same `first`: (n / step,) of uint32."""


class IndexCost(NamedTuple):
    """Cost of an index, known before it is made."""

    disk_bytes: int
    """At most."""
    ram_bytes: int
    """At most."""
    seconds: float
    """About."""


@dataclass(frozen=True)
class SuffixIndex:
    """An opened index. `text` has END after its `n_bytes` bytes; suffixes count from their chunk's start."""

    text: np.ndarray
    """(n_bytes + CAP,) of uint8."""
    suffixes: np.ndarray
    """(n_chars,) of uint32."""
    chunks: tuple[Chunk, ...]
    n_bytes: int

    @cached_property
    def words(self) -> np.ndarray:
        """The eight bytes at each offset as one number, which orders as they do: (n_bytes + CAP - 7,)."""
        return words(self.text)

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """A sample of each chunk, of SAMPLED suffixes at most, which narrows a search down."""
        return tuple(map(self._sample, self.chunks))

    def _sample(self, chunk: Chunk) -> Sample:
        step = -(-chunk.n // SAMPLED) or 1
        at = self.offsets(chunk, np.arange(0, chunk.n, step))
        first = self.words[at].astype(np.uint64)
        ends = np.append(np.flatnonzero(first[1:] != first[:-1]) + 1, len(first)).astype(np.uint32)
        ends = np.repeat(ends, np.diff(ends, prepend=0))
        return Sample(step, first, self.words[at + 8].astype(np.uint64), ends)

    def offsets(self, chunk: Chunk, places: np.ndarray) -> np.ndarray:
        """Return the offsets of some suffixes of a chunk, at most `n_bytes` in a damaged file: (N,)."""
        return np.minimum(chunk.start + self.suffixes[chunk.first + places].astype(np.int64), self.n_bytes)

    def find(self, passage: bytes) -> int:
        """Return the offset of one occurrence in the text, or -1. A passage has OVERLAP bytes at most."""
        for chunk in self.chunks:
            at = self.bisect(chunk, passage)
            if at < chunk.n and self._slice(chunk, at, len(passage)) == passage:
                return chunk.start + int(self.suffixes[chunk.first + at])
        return -1

    def count(self, passage: bytes) -> int:
        """Return the number of occurrences in the text; overlapping ones count."""
        return sum(self.bisect(c, passage, bisect_right) - self.bisect(c, passage) for c in self.chunks)

    def bisect(self, chunk: Chunk, passage: bytes, side: Callable[..., int] = bisect_left) -> int:
        """Return the number of a chunk's suffixes before a passage, or with `bisect_right` up to it."""
        return side(range(chunk.n), passage, key=lambda at: self._slice(chunk, at, len(passage)))

    def _slice(self, chunk: Chunk, at: int, length: int) -> bytes:
        start = chunk.start + int(self.suffixes[chunk.first + at])
        return self.text[start : start + length].tobytes()

    def line_of(self, offset: int) -> int:
        """Return the number of the line at an offset, from 1."""
        pieces = (self.text[start : min(start + PIECE, offset)] for start in range(0, offset, PIECE))
        return 1 + sum(int(np.count_nonzero(piece == ord("\n"))) for piece in pieces)


def words(data: np.ndarray) -> np.ndarray:
    """Return the eight bytes at each offset as a big-endian number, without a copy: (N,) to (N - 7,)."""
    return np.ndarray((len(data) - 7,), ">u8", data, strides=(1,))


def index_cost(n_bytes: int, chunk: int = CHUNK) -> IndexCost:
    """Return the cost of the index of a text that is sorted in chunks.

    >>> index_cost(10**9).ram_bytes < 2.2e9
    True
    """
    return IndexCost(5 * n_bytes, RAM_PER_BYTE * min(n_bytes, chunk + OVERLAP), n_bytes / BYTES_PER_S)


def check_installed() -> None:
    """Raise UserError if the package that sorts suffixes is not installed."""
    _sorter()


def _sorter() -> Callable[[bytes], np.ndarray]:
    try:
        from pydivsufsort import divsufsort
    except ImportError as error:
        raise missing_extra("copying", "pydivsufsort") from error
    return divsufsort


def build_index(folder: Path, pieces: Iterable[bytes], key: str, chunk: int = CHUNK) -> SuffixIndex:
    """Write the index of a UTF-8 text into `folder`, and open it.

    pieces: the text, cut anywhere. key: names the text; `open_index` asks for it. chunk: bytes to sort at
    once. The folder appears complete or not at all. Raises UserError if the extra is not installed, or if
    the disk refuses.
    """
    sort, made = _sorter(), folder.with_name(f"{UNFINISHED}{secrets.token_hex(4)}")
    try:
        made.mkdir(parents=True)
        n_bytes = _write_text(made / TEXT, pieces)
        chunks = _write_suffixes(made, n_bytes, sort, chunk)
        about = {"format": FORMAT, "key": key, "n_bytes": n_bytes, "chunks": [list(c) for c in chunks]}
        (made / ABOUT).write_text(json.dumps(about), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # of another text, or damaged
        with suppress(OSError):  # another process was first: its index is the same
            made.rename(folder)
        for left in folder.parent.glob(f"{UNFINISHED}*"):  # by a kill, or by a process that is late
            shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        with suppress(UserError):  # another process was first, and removed this one's files
            return open_index(folder, key)
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return open_index(folder, key)


def open_index(folder: Path, key: str) -> SuffixIndex:
    """Open an index. Raises UserError if there is none of this text, or if it is damaged."""
    about = read_json(folder / ABOUT)
    match about:
        case {"format": 1, "key": str(found), "n_bytes": int(n_bytes), "chunks": [*rows]} if found == key:
            chunks = tuple(map(_chunk, rows))
        case _:
            raise damaged(folder / ABOUT, N_("it belongs to another text"))
    n_chars = sum(chunk.n for chunk in chunks)
    for name, size in ((TEXT, n_bytes + CAP), (SUFFIXES, 4 * n_chars)):
        if file_size(folder / name) != size:
            raise damaged(
                folder / name,
                N_("{size:,} bytes, not {expected:,}", size=file_size(folder / name), expected=size),
            )
    text = np.memmap(folder / TEXT, np.uint8, "r")
    suffixes = np.memmap(folder / SUFFIXES, "<u4", "r")
    return SuffixIndex(text, suffixes, chunks, n_bytes)


def _chunk(row: Any) -> Chunk:
    match row:
        case [int(start), int(first), int(n)] if min(start, first, n) >= 0:
            return Chunk(start, first, n)
    raise damaged(Path(ABOUT), N_("it belongs to another text"))


def _write_text(path: Path, pieces: Iterable[bytes]) -> int:
    n_bytes = 0
    with path.open("wb") as file:
        for piece in pieces:
            n_bytes += file.write(piece)
        file.write(END)
    if not n_bytes:
        raise UserError("the text is empty. Give a text to train on.")
    return n_bytes


def _write_suffixes(
    folder: Path, n_bytes: int, sort: Callable[[bytes], np.ndarray], size: int
) -> list[Chunk]:
    """Sort the suffixes of each chunk, one after the other."""
    chunks, first = list[Chunk](), 0
    with (folder / TEXT).open("rb") as text, (folder / SUFFIXES).open("wb") as file:
        for start in range(0, n_bytes, size):
            text.seek(start)
            n = _write_chunk(text, file, min(size, n_bytes - start), n_bytes - start, sort)
            chunks.append(Chunk(start, first, n))
            first += n
    return chunks


def _write_chunk(
    text: BinaryIO, file: BinaryIO, size: int, rest: int, sort: Callable[[bytes], np.ndarray]
) -> int:
    """Write the sorted suffixes of the next `size` bytes of a text that has `rest` more; return their number.

    The bytes of the overlap only help to order the others. All memory is free again afterwards.
    """
    data = text.read(min(size + OVERLAP, rest) + 1)  # with the first byte of END
    order = sort(data)
    return sum(
        file.write(_begins(order[at : at + PIECE], data, size)) // 4 for at in range(0, len(order), PIECE)
    )


def _begins(order: np.ndarray, data: bytes, stop: int) -> bytes:
    """Return those of some suffixes that begin a character before `stop`, as little-endian numbers."""
    kept = order[order < stop]
    begins = (np.frombuffer(data, np.uint8)[kept] & 0xC0) != 0x80
    return kept[begins].astype("<u4").tobytes()
