"""File compression as a baseline: the bytes that xz adds for the held-out text.

Counts the compressed data alone, without the container and checksum of an .xz file.
"""

from __future__ import annotations

import lzma
import math
from typing import TYPE_CHECKING

from glassgpt.diagnose.score import Score

if TYPE_CHECKING:
    from glassgpt.data import Text

PRESET = 9 | lzma.PRESET_EXTREME
MAX_XZ_BYTES = 1 << 22
"""xz compresses about 1 MB a second, twice. Raising 4 to 8 MiB would take another 10 s and gain 2 %."""


def xz_score(train: Text, val: Text, max_train_bytes: int = MAX_XZ_BYTES) -> Score:
    """Score the size of training and held-out text together, minus the training text alone.

    At most the last `max_train_bytes` of the training text are used; `detail` then says so.
    """
    history = train.last_bytes(max_train_bytes)
    n_bytes = compressed_size(history + last_bytes(val, val.n_bytes)) - compressed_size(history)
    detail = "size of training and held-out text together, less that of the training text alone"
    if len(history) < train.n_bytes:
        detail += f"; of the training text, its last {max_train_bytes / 2**20:.3g} MiB"
    return Score("xz", n_bytes * 8 * math.log(2), val.n_chars, val.n_bytes, detail, "compressor")


def compressed_size(data: bytes) -> int:
    """Return the number of bytes of the LZMA2 stream of `data`.

    The window is as long as the data. xz's default of 64 MiB compresses no better and needs 674 MB of RAM.
    """
    window = max(4096, 1 << len(data).bit_length())
    filters = [{"id": lzma.FILTER_LZMA2, "preset": PRESET, "dict_size": window}]
    return len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters))


def last_bytes(text: Text, n_bytes: int) -> bytes:
    """Return the end of a text, which may start inside a character."""
    return text.last_bytes(n_bytes)
