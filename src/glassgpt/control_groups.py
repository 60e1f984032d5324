"""Limits of the container: files of Linux's control groups that concern this process.

Source: Linux, admin-guide/cgroup-v2.rst and cgroup-v1/.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PROCESS = Path("/proc/self/cgroup")
"""The list of the process's groups."""
ROOT = Path("/sys/fs/cgroup")
"""The mounted file system of version 2, or of version 1 with a folder for each resource."""


def control_files(
    resource: str, v2: str, *v1: str, process: Path = PROCESS, root: Path = ROOT
) -> Iterator[list[str]]:
    """Yield the texts of a limit's files in the process's groups, its own and those above it.

    resource: of version 1, such as `memory`. v2, v1: names of the files. A missing file gives an empty text.
    A container may see its own group as the root, and groups outside are not found there.
    """
    for line in _read(process).splitlines():
        _, resources, path = line.split(":", 2)
        if not resources:
            mounts, names = (root, root / "unified"), (v2,)
        elif resource in resources.split(","):
            mounts, names = tuple(dict.fromkeys((root / resource, root / resources))), v1
        else:
            continue
        group = Path(path.lstrip("/"))
        for mount in mounts:
            for folder in (group, *group.parents):
                yield [_read(mount / folder / name).strip() for name in names]


def _read(path: Path) -> str:
    """Return a file of the kernel, or nothing where it is missing or closed to us."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
