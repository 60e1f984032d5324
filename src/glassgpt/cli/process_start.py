"""The moment at which this command began, on the clock of `time.monotonic`: `--minutes` count from it."""

from __future__ import annotations

import os
import time
from contextvars import ContextVar
from pathlib import Path

command_began: ContextVar[float] = ContextVar("command_began")
"""Set by `main`; the first import of this module is the default."""
_IMPORTED = time.monotonic()


def began() -> float:
    """Return the moment at which the running command began."""
    return command_began.get(_IMPORTED)


def process_start(stat: Path = Path("/proc/self/stat")) -> float:
    """Return the start of this process, before Python and its imports; without /proc, of this import."""
    try:
        # The fields follow the program's name, which is in parentheses and may contain spaces.
        ticks = int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[19])  # since boot
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return _IMPORTED
    now = time.monotonic()
    return now - age_s if 0 <= age_s <= now else _IMPORTED
