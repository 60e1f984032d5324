"""Batches of running text as a pure function of (seed, step), without a stateful loader.

Training draws non-overlapping windows in shuffled order; each epoch has a new order and a new offset. A list
of lines, such as names, is put into a new order for each epoch: else a model learns by heart which line
follows which.
Evaluation walks the validation split from end to end and predicts each token exactly once: in windows without
overlap, which is quick, or in overlapping ones, which give each token its past.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from glassgpt.data.batches.batch import IGNORE, Batch
from glassgpt.data.batches.tokens import Split, TokenData

MAX_LIST_TOKENS = 1 << 22
"""Longer lists keep their order: they are read too few times to be learned by heart."""


class TrainWindows:
    """Shuffled windows of T tokens and their targets.

    line_end: token that ends each line of a list. The lines then have a new order in each epoch, and a window
    begins at the end of a line if one is at most half a window before it.
    """

    def __init__(self, split: Split, block_size: int, seed: int, line_end: int | None = None) -> None:
        self.T, self.seed = min(block_size, len(split) - 1), seed
        self.line_end = line_end if len(split) <= MAX_LIST_TOKENS else None
        self.per_epoch = max(1, (len(split) - self.T) // self.T)
        self._split, self._ids = split.ids, split.ids
        self._epoch, self._starts = -1, np.zeros(0, np.int64)

    def batch(self, index: int, B: int) -> Batch:
        """Return batch number `index` of B sequences."""
        places = range(index * B, (index + 1) * B)
        rows = torch.from_numpy(np.stack([self._window(place) for place in places]).astype(np.int64))
        return Batch(rows[:, :-1].contiguous(), rows[:, 1:].contiguous())

    def _window(self, place: int) -> np.ndarray:
        """Return the T + 1 tokens of a window."""
        epoch, position = divmod(place, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._starts = epoch, self._shuffle(epoch)
        start = self._starts[position]
        return self._ids[start : start + self.T + 1]

    def _shuffle(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, epoch))
        room = len(self._split) - 1 - self.per_epoch * self.T  # largest offset of the first window
        offset = rng.integers(0, min(self.T, room) + 1)
        starts = offset + self.T * rng.permutation(self.per_epoch)
        if self.line_end is None:
            return starts
        self._ids = shuffled_lines(self._split, self.line_end, rng)
        return _line_starts(self._ids == self.line_end, starts, self.T // 2)


def shuffled_lines(ids: np.ndarray, line_end: int, rng: np.random.Generator) -> np.ndarray:
    """Return the lines of a list in a random order, (n,), each with the end of a line before it.

    >>> shuffled_lines(np.array([7, 8, 0, 5, 0, 6, 0]), line_end=0, rng=np.random.default_rng(1)).tolist()
    [0, 7, 8, 0, 5, 0, 6]
    """
    stops = np.append(np.flatnonzero(ids[:-1] == line_end) + 1, len(ids))
    starts = np.append(0, stops[:-1])
    order = rng.permutation(len(starts))
    lengths = (stops - starts)[order]
    shift = starts[order] - (np.cumsum(lengths) - lengths)
    return np.roll(ids[np.arange(len(ids)) + np.repeat(shift, lengths)], 1)


def _line_starts(is_end: np.ndarray, starts: np.ndarray, reach: int) -> np.ndarray:
    """Return the last end of a line at or before each start, or the start if that is further than `reach`."""
    last = np.maximum.accumulate(np.where(is_end, np.arange(len(is_end)), -1))[starts]
    return np.where((last >= 0) & (starts - last <= reach), last, starts)


PAIR_STRIDE = 4
"""Every fourth window is measured with more context, too; an evaluation takes two fifths longer."""


def eval_batches(data: TokenData, block_size: int, B: int, stride: int = 1) -> Iterator[Batch]:
    """Yield the validation split in windows without overlap.

    The first window begins with the last training token. Each validation token is a target exactly once, so
    the sum of the losses is the cost of the split. stride: take each `stride`-th window only, a part that is
    spread over the whole split.
    """
    val, T = data.val.ids, min(block_size, len(data.val))
    starts = eval_starts(len(val), T, stride)
    for i in range(0, len(starts), B):
        places = starts[i : i + B, None] + np.arange(T)  # (B, T)
        if len(places) == 1:
            places = places[:, : len(val) - places[0, 0]]  # a short last window needs no padding
        inside, last = places < len(val), len(val) - 1
        before = np.where(places > 0, val[np.clip(places - 1, 0, last)], data.train.ids[-1]).astype(np.int64)
        targets = val[np.minimum(places, last)].astype(np.int64)
        tokens = torch.from_numpy(np.where(inside, before, 0))
        yield Batch(tokens, torch.from_numpy(np.where(inside, targets, IGNORE)))


def eval_starts(n_val: int, T: int, stride: int) -> np.ndarray:
    """Return the first target of each window of T tokens that an evaluation reads, of n_val tokens.

    >>> eval_starts(100, T=10, stride=4)
    array([20, 60])
    """
    starts = np.arange(0, n_val, min(T, n_val))
    return starts[min(stride // 2, len(starts) - 1) :: stride]


def context_pairs(data: TokenData, block_size: int, B: int, stride: int = 1) -> Iterator[tuple[Batch, Batch]]:
    """Yield the first half of windows of `eval_batches` twice: by itself, and with half a window before it.

    The second time it is the end of a window, as in `sliding_batches`: the same targets, with more context.
    Takes every `PAIR_STRIDE`-th window of those with this stride.
    """
    val, half = data.val.ids, min(block_size, len(data.val)) // 2
    starts = eval_starts(len(val), 2 * half, stride)[::PAIR_STRIDE] if half else np.array([], np.intp)
    starts = starts[(starts > half) & (starts + half <= len(val))]
    for i in range(0, len(starts), B):
        places = starts[i : i + B, None] + np.arange(-half, half)  # (B, T): targets, half of them before
        tokens, targets = (torch.from_numpy(val[places - shift].astype(np.int64)) for shift in (1, 0))
        late = targets.clone()
        late[:, :half] = IGNORE
        yield Batch(tokens[:, half:], targets[:, half:]), Batch(tokens, late)


def sliding_batches(
    data: TokenData, block_size: int, B: int, ranges: Sequence[tuple[int, int]] | None = None
) -> Iterator[Batch]:
    """Yield the validation split in windows that overlap by half a block.

    Each token is a target once, in the second half of its window: the model sees at least half a block of
    the text before it, the end of the training text included. That costs twice the time of `eval_batches`.
    ranges: the (first, last + 1) tokens to predict, ascending; by default all.
    """
    tail = data.train.ids[-block_size:].astype(np.int64)
    stride = max(1, block_size // 2)
    ranges = [(0, len(data.val))] if ranges is None else ranges
    starts = [(i, min(i + stride, stop)) for start, stop in ranges for i in range(start, stop, stride)]
    for i in range(0, len(starts), B):
        rows = [
            _sliding_window(data, tail, first, last, block_size, stride) for first, last in starts[i : i + B]
        ]
        tokens, targets = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
        yield Batch(tokens, targets)  # (B, T)


def _sliding_window(
    data: TokenData, tail: np.ndarray, first: int, last: int, T: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return T tokens and their targets; only those from `first` to `last` count."""
    begin = max(first - (T - stride) - 1, -len(tail))  # of the window, among the validation tokens
    stop = min(begin + T + 1, len(data.val))
    ids = np.concatenate(
        [tail[len(tail) + begin :] if begin < 0 else tail[:0], data.val.ids[max(0, begin) : stop]]
    )
    ids = np.pad(ids.astype(np.int64), (0, T + 1 - len(ids)))
    places = begin + 1 + np.arange(T)  # of the targets
    return ids[:-1], np.where((places >= first) & (places < last), ids[1:], IGNORE)
