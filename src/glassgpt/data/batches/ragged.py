"""Rows of different lengths in one flat array, and padded matrices of some rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths; row i is `ids[starts[i] : starts[i + 1]]`.

    >>> rows = Ragged.of([[1, 2, 3], [], [4]])
    >>> len(rows), rows.lengths.tolist(), rows[2].tolist()
    (3, [3, 0, 1], [4])
    """

    ids: np.ndarray
    starts: np.ndarray
    """(n_rows + 1,), from 0 to the number of ids."""

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Self:
        """Join rows of token ids, as uint16 if they fit, else as int32."""
        arrays = [np.asarray(row, np.int64) for row in rows]
        ids = np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
        starts = np.cumsum([0, *map(len, arrays)])
        return cls(ids.astype(np.uint16 if ids.max(initial=0) < 1 << 16 else np.int32), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, i: int) -> np.ndarray:
        return self.ids[self.starts[i] : self.starts[i + 1]]

    @property
    def is_consistent(self) -> bool:
        """True if the starts rise from 0 to the number of ids."""
        has_ends = len(self.starts) > 0 and self.starts[0] == 0 and self.starts[-1] == len(self.ids)
        return bool(has_ends and (self.lengths >= 0).all())

    @property
    def lengths(self) -> np.ndarray:
        """Length of each row: (n_rows,)."""
        return np.diff(self.starts)

    def matrix(self, rows: np.ndarray, fill: int) -> np.ndarray:
        """Return some rows as a matrix padded with `fill`: (len(rows), longest), int64.

        >>> Ragged.of([[1, 2, 3], [], [4]]).matrix(np.array([2, 0]), fill=-1).tolist()
        [[4, -1, -1], [1, 2, 3]]
        """
        lengths = self.lengths[rows]
        column = np.arange(lengths.max(initial=0))
        real = column < lengths[:, None]  # (len(rows), longest)
        matrix = np.full(real.shape, fill, np.int64)
        matrix[real] = self.ids[(self.starts[rows][:, None] + column)[real]]
        return matrix


def group_by_length(lengths: Sequence[np.ndarray], max_tokens: int, n_extra: int = 0) -> Iterator[np.ndarray]:
    """Yield the indices of all rows, shortest first, in groups of at most `max_tokens` padded tokens.

    lengths: (n_rows,) for each of the matrices that a group is padded to, such as source and text. n_extra:
    tokens that each row adds. A row that is too long is a group of its own.

    >>> [rows.tolist() for rows in group_by_length([np.array([3, 9, 2, 1])], max_tokens=9)]
    [[3, 2, 0], [1]]
    """
    group: list[int] = []
    widest = [0] * len(lengths)
    for row in np.argsort(sum(lengths), kind="stable").tolist():
        own = [int(each[row]) for each in lengths]
        wider = list(map(max, widest, own))
        if group and (len(group) + 1) * (sum(wider) + n_extra) > max_tokens:
            yield np.array(group)
            group, wider = [], own
        group.append(row)
        widest = wider
    if group:
        yield np.array(group)
