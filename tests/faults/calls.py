"""The log that shim.c writes: which system calls changed files, in order, and with what data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """One system call. `value`: offset of a write, flags of an open, size of a truncation."""

    kind: str
    path: str
    path2: str = ""
    value: int = 0
    data: bytes = b""


def read_log(log: Path) -> list[Record]:
    """The calls that succeeded, in order."""
    return [record for result, record in _parsed(log) if result >= 0]


def _parsed(log: Path) -> list[tuple[int, Record]]:
    raw, at, records = log.read_bytes(), 0, []
    while at < len(raw):
        end = raw.index(b"\n", at)
        kind, result, value, size, path, path2 = raw[at:end].decode().split("\t")
        at = end + 1 + int(size)
        records.append((int(result), Record(kind, path, path2, int(value), raw[end + 1 : at])))
    return records


def n_calls(log: Path) -> int:
    """How many system calls a log has, failed ones included."""
    return len(_parsed(log))
