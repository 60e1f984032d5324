"""How small xz makes the held-out text once it has seen the training text: a baseline that nobody trained.

Not the size of an .xz file: the compressed data counts, without container and checksum.
"""

from __future__ import annotations

import lzma
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from glassgpt.diagnose.score import Score

if TYPE_CHECKING:
    from glassgpt.data import Text

PRESET = 9 | lzma.PRESET_EXTREME
MAX_TRAIN_BYTES = 1 << 22
"""xz reads about 1 MB a second, twice. From 4 to 8 MiB would take it another 10 s and gain 2 %."""


def xz_score(train: Text, val: Text, max_train_bytes: int = MAX_TRAIN_BYTES) -> Score:
    """The size of training and held-out text compressed together, less that of the training text alone.

    At most `max_train_bytes`, the end of the training text, are used; `detail` says so.
    """
    history = last_bytes(train, max_train_bytes)
    n_bytes = compressed_size(history + last_bytes(val, val.n_bytes)) - compressed_size(history)
    detail = "size of training and held-out text together, less that of the training text alone"
    if len(history) < train.n_bytes:
        detail += f"; of the training text, its last {max_train_bytes / 2**20:g} MiB"
    return Score("xz", n_bytes * 8 * math.log(2), val.n_chars, val.n_bytes, detail)


def compressed_size(data: bytes) -> int:
    """Bytes of the LZMA2 stream of some data.

    The window is as long as the data: xz's own 64 MiB see no more, and cost it 674 MB of memory.
    """
    window = max(4096, 1 << len(data).bit_length())
    filters = [{"id": lzma.FILTER_LZMA2, "preset": PRESET, "dict_size": window}]
    return len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters))


def last_bytes(text: Text, n_bytes: int) -> bytes:
    """The end of a text, which may begin inside a character."""
    return b"".join(replace(text, start=max(text.start, text.stop - n_bytes)).raw_chunks())
