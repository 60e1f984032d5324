"""Mutations of a run's folder: damage by a disk, and malice of a stranger.

`mutate` changes one file and describes the change, which follows from the random numbers alone. The run lies
in a folder of its own, under the name RUN, next to `others`, a folder with whole runs.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import stat
from collections.abc import Callable
from contextlib import chdir, suppress
from pathlib import Path

from faults.mutate_json import change_json
from glassgpt.checkpoint import fingerprint

VICTIM = "victim"
"""A file outside the run that links lead to. No command may change it."""
REHASHED = 0.7
"""Share of mutations after which the hashes fit the changed files, as a stranger would make them."""
SPARSE = 8 << 30
OPTIONAL = ("best", ".lock", ".lock.json", "extra", "manifest.json", "hashes.json", "verdict.json", "samples")
"""Names that are looked for in some folder of a run."""


def mutate(run: Path, rng: random.Random) -> str:
    """Change one file of a run, and return a description."""
    path = rng.choice(_files(run))
    is_json = path.suffix in (".json", ".jsonl", ".safetensors")
    change = rng.choice((_put_node, _change_bytes, _change_bytes, *([_change_json] * 6 if is_json else [])))
    told = f"{path.relative_to(run)} {change(path, rng)}"
    if rng.random() < REHASHED:
        rehash(run)
        told += ", with new hashes"
    return told


def rehash(run: Path) -> None:
    """Make the sizes and hashes of steps and data fit their files."""
    for listed in [*run.glob("checkpoints/*/MANIFEST.json"), *run.glob("data/hashes.json")]:
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            if not _is_small(listed):
                continue
            found = json.loads(listed.read_bytes())
            files = found["files"] if listed.name == "MANIFEST.json" else found
            for name in filter(lambda name: _is_small(listed.parent / name), files):
                files[name] = fingerprint(listed.parent / name)
            listed.write_text(json.dumps(found))


def _is_small(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_size < SPARSE


def _files(run: Path) -> list[Path]:
    return sorted(path for path in run.rglob("*") if path.is_file())


def _change_bytes(path: Path, rng: random.Random) -> str:
    """Change bytes, as a disk does."""
    data = bytearray(path.read_bytes())
    place, more = rng.randrange(len(data) + 1), rng.randbytes(rng.randint(1, 40))
    changed = {
        "cut": data[:place],
        "emptied": b"",
        "of random bytes": rng.randbytes(len(data)),
        "with a byte order mark": b"\xef\xbb\xbf" + data,
        "twice": data + data,
        "ending in zeros": data[:place] + bytes(len(data) - place),
        "with more bytes": data[:place] + more + data[place:],
        "with fewer bytes": data[:place] + data[place + len(more) :],
        "with other bytes": data[:place] + more + data[place + len(more) :],
        "with one other bit": data[:place]
        + bytes(b ^ 4 for b in data[place : place + 1])
        + data[place + 1 :],
    }
    told = rng.choice(list(changed))
    path.write_bytes(changed[told])
    return f"{told}, at {place}"


def _change_json(path: Path, rng: random.Random) -> str:
    """Change the JSON of a file, of one of its lines, or of its header."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        length = int.from_bytes(data[:8], "little")
        text, told = change_json(data[8 : 8 + length].decode(), rng)
        claimed = rng.choice((len(text), len(text), len(text), length, 0, 2**63))
        path.write_bytes(claimed.to_bytes(8, "little") + text.encode() + data[8 + length :])
        return f"header of {claimed} bytes: {told}"
    if path.suffix == ".jsonl":
        lines = data.decode().splitlines()
        place = rng.randrange(len(lines))
        lines[place], told = change_json(lines[place], rng)
        path.write_text("\n".join(lines) + rng.choice(("\n", "")), "utf-8")
        return f"line {place}: {told}"
    text, told = change_json(data.decode(), rng)
    path.write_text(text, "utf-8")
    return told


def _put_node(path: Path, rng: random.Random) -> str:
    """Put something else into the file's place, or under another name of its folder."""
    if rng.random() < 0.3:
        path = path.with_name(rng.choice(OPTIONAL))
    return f"({path.name}) {rng.choice(NODES)(path, rng)}"


def _clear(path: Path) -> Path:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return path


def _missing(path: Path, rng: random.Random) -> str:
    _clear(path)
    return "is missing"


def _pipe(path: Path, rng: random.Random) -> str:
    os.mkfifo(_clear(path))
    return "is a pipe"


def _socket(path: Path, rng: random.Random) -> str:
    _clear(path)
    with chdir(path.parent), socket.socket(socket.AF_UNIX) as made:  # a short name: its length is limited
        made.bind(path.name)
    return "is a socket"


def _device(path: Path, rng: random.Random) -> str:
    """Make a device where the system lets us, else a link to it."""
    try:
        os.mknod(_clear(path), stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        path.symlink_to("/dev/zero")
    return "is /dev/zero"


def _folder(path: Path, rng: random.Random) -> str:
    _clear(path).mkdir()
    return "is a folder"


def _sparse(path: Path, rng: random.Random) -> str:
    """Make a file of gigabytes that takes no space; it may begin as before."""
    begin = path.read_bytes() if path.is_file() and rng.random() < 0.5 else b""
    _clear(path).write_bytes(begin)
    os.truncate(path, SPARSE)
    return f"has {SPARSE:,} bytes"


def _link(path: Path, rng: random.Random) -> str:
    target = rng.choice(("/dev/zero", "/dev/stdin", path.name, "..", VICTIM, VICTIM))
    source = _victim(path) if target == VICTIM else target
    _clear(path).symlink_to(source)
    return f"is a link to {target}"


def _hard_link(path: Path, rng: random.Random) -> str:
    victim = _victim(path)
    os.link(victim, _clear(path))
    return f"is a hard link of {VICTIM}"


def _victim(path: Path) -> Path:
    """Write a file outside the run, with the content of the file in it."""
    victim = _run_of(path).parent / VICTIM
    victim.write_bytes(path.read_bytes() if path.is_file() else b"mine")
    return victim


def _swapped(path: Path, rng: random.Random) -> str:
    """Copy another file of the run, or the same file of another run."""
    run = _run_of(path)
    same = [*run.parent.glob(f"others/*/{path.relative_to(run)}")]
    others = [each for each in (*_files(run), *same * 3) if each.is_file() and each != path]
    other = rng.choice(sorted(others))
    data = other.read_bytes()
    _clear(path).write_bytes(data)
    return f"is a copy of {other.relative_to(run.parent)}"


def _odd_name(path: Path, rng: random.Random) -> str:
    path.with_name("x\udcff").write_bytes(b"x")
    return "has a neighbor whose name is not UTF-8"


def _run_of(path: Path) -> Path:
    return next(each for each in path.parents if each.name == "RUN")


NODES: tuple[Callable[[Path, random.Random], str], ...] = (
    *(_missing, _pipe, _socket, _device, _folder, _sparse, _sparse, _link, _link, _hard_link, _hard_link),
    *(_swapped, _swapped, _swapped, _odd_name),
)
