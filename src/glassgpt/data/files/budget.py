"""UnpackBudget: the bytes that one source may expand to, shared by everything unpacked from it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from glassgpt.data.files.unreadable import NotText

MAX_UNPACKED = 20 << 30
"""Limit of what is unpacked from one source, in bytes."""
MAX_RATIO = 200
"""Limit of the compression ratio; prose stays under 10, logs under 100."""
SLACK = 1 << 20
"""Bytes that any source may expand to."""


class UnpackBudget:
    """Counts what is unpacked from one source, and refuses more than MAX_RATIO times its size.

    A part that is read twice counts twice: a book may name one page any number of times.

    >>> budget = UnpackBudget("a.epub", n_bytes=1_000)
    >>> budget.spend(1_000_000)
    >>> budget.spend(1_000_000)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    NotText: a.epub: its 1,000 bytes expand to more than 1,248,576; the limits are …
    """

    def __init__(self, name: str, n_bytes: int) -> None:
        self._name, self._n_bytes = name, n_bytes
        self.limit = min(MAX_UNPACKED, MAX_RATIO * n_bytes + SLACK)
        self._spent = 0

    @classmethod
    def of(cls, stream: BinaryIO, name: str) -> UnpackBudget:
        """Return the budget of a seekable stream, and rewind the stream."""
        n_bytes = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        return cls(name, n_bytes)

    def spend(self, n_bytes: int) -> None:
        """Count unpacked bytes, best before they are unpacked. Raises NotText over the limit."""
        self._spent += n_bytes
        if self._spent > self.limit:
            raise NotText(
                "{name}: its {n_bytes:,} bytes expand to more than {limit:,}; the limits are "
                "{max_unpacked:,} bytes and {max_ratio} times its size. If you trust it, extract it and "
                "pass the folder.",
                name=self._name,
                n_bytes=self._n_bytes,
                limit=self.limit,
                max_unpacked=MAX_UNPACKED,
                max_ratio=MAX_RATIO,
            )

    def metered(self, pieces: Iterator[str]) -> Iterator[str]:
        """Yield chunks of text, each counted."""
        for piece in pieces:
            self.spend(len(piece))
            yield piece
