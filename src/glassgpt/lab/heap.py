"""Settings of glibc's malloc for the process of the lab."""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""Numbers of these settings in glibc's malloc.h."""
LARGE_BYTES = 1 << 20
"""Tensors from this size on go back to the system as soon as they are freed."""


def use_one_heap() -> None:
    """Tell glibc to keep one heap for all threads, and no large tensors in it: traces leave gaps behind.

    Call it before the first thread: a heap that a thread has already is used on, in pieces of 64 MiB. With
    10 M parameters and 30 traces, 530 MB in place of 690. Elsewhere than in glibc it does nothing.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
