"""RAM that this process may use: the machine's, the container's, or the shell's limit.

Linux kills a process that passes its container's limit, so the machine's RAM alone says too little.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from glassgpt.control_groups import PROCESS, ROOT, control_files

__all__ = ["cgroup_limits", "is_out_of_memory", "memory_bytes"]

UNKNOWN = 1 << 36
"""Bytes to assume where the system does not tell (Windows)."""


def memory_bytes() -> int:
    """Return the RAM that this process may use, in bytes: the least of all limits."""
    return min(_machine_bytes(), *cgroup_limits(), *_address_space())


def is_out_of_memory(error: BaseException) -> bool:
    """True for an error that says that the memory is full: Python's, the system's, or torch's of any device.

    torch has a type for a GPU (`torch.OutOfMemoryError`), and only words for RAM.

    >>> is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: …"))
    True
    >>> is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    False
    """
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    system = isinstance(error, OSError) and error.errno == errno.ENOMEM
    words = ("allocate memory", "not enough memory", "out of memory", "bad_alloc", "Cannot allocate")
    return named or system or (isinstance(error, RuntimeError) and any(each in str(error) for each in words))


def _machine_bytes() -> int:
    if hasattr(os, "sysconf") and {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= os.sysconf_names.keys():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return UNKNOWN


def _address_space() -> Iterator[int]:
    """Yield the limit of `ulimit -v`, if there is one."""
    with suppress(ImportError, OSError):
        import resource  # not on Windows

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            yield limit


def cgroup_limits(process: Path = PROCESS, root: Path = ROOT) -> Iterator[int]:
    """Yield the limits of the process's control groups in bytes, its own and those above it."""
    files = control_files("memory", "memory.max", "memory.limit_in_bytes", process=process, root=root)
    for (limit,) in files:
        if limit.isdecimal():  # version 2 says "max" for none, version 1 a number beyond any RAM
            yield int(limit)
