"""RAM that this process may use: the machine's, the container's, or the shell's limit.

Linux kills a process that passes its container's limit, so the machine's RAM alone says too little.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["cgroup_limits", "memory_bytes"]

UNKNOWN = 1 << 36
"""Bytes to assume where the system does not tell (Windows)."""


def memory_bytes() -> int:
    """Return the RAM that this process may use, in bytes: the least of all limits."""
    return min(_machine_bytes(), *cgroup_limits(), *_address_space())


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


def cgroup_limits(
    process: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> Iterator[int]:
    """Yield the limits of the process's control groups in bytes, its own and those above it.

    process: the list of its groups. root: the mounted file system of version 2, or of version 1 with a folder
    for each resource. A container may see its own group as the root; groups outside are not found there.
    Source: Linux, admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
    """
    for line in _read(process).splitlines():
        _, resources, path = line.split(":", 2)
        if not resources:
            mounts, name = (root, root / "unified"), "memory.max"
        elif "memory" in resources.split(","):
            mounts, name = (root / "memory",), "memory.limit_in_bytes"
        else:
            continue
        group = Path(path.lstrip("/"))
        for mount in mounts:
            for folder in (group, *group.parents):
                limit = _read(mount / folder / name).strip()
                if limit.isdecimal():  # version 2 says "max" for none, version 1 a number beyond any RAM
                    yield int(limit)


def _read(path: Path) -> str:
    """Return a file of the kernel, or nothing where it is missing or closed to us."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
