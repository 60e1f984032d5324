"""A model of a disk whose power may be cut: what a log of system calls leaves behind, at its worst.

Data of a file are safe once the file was fsynced, names once their folder was. Of everything later a
power cut keeps what it likes: writes whole, in part, as zeros, out of order, or not at all; names in the
order of a journal, or any of them. That is weaker than the file systems in use, so that what survives here
survives there. A rename is atomic: it happened or it did not.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from faults.calls import Record

BLOCK = 512


@dataclass
class File:
    """What programs read, what is safe, and the writes since then; a write of None cuts to that size."""

    live: bytes = b""
    safe: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)


@dataclass
class Folder:
    live: dict[str, Node] = field(default_factory=dict)
    safe: dict[str, Node] = field(default_factory=dict)


Node = File | Folder


@dataclass(frozen=True)
class Naming:
    """A change of names in one folder that is not safe yet."""

    folder: Folder
    removed: str | None
    added: tuple[str, Node] | None

    def apply(self, names: dict[str, Node]) -> None:
        if self.removed is not None:
            names.pop(self.removed, None)
        if self.added is not None:
            names[self.added[0]] = self.added[1]


class Disk:
    """The folder `root` as a log changes it; `copy` holds its content before, all of it safe."""

    def __init__(self, root: Path, copy: Path | None = None) -> None:
        self.root, self.top = str(root), _load(copy) if copy else Folder()
        self.journal: list[Naming] = []
        self.marks: list[str] = []

    def replay(self, records: Iterable[Record]) -> None:
        for record in records:
            getattr(self, "_" + record.kind)(record)

    def files(self) -> dict[str, bytes]:
        """Path below the root → content, as programs see it."""
        return dict(_walk(self.top, ""))

    def cut(self, seed: int, into: Path) -> None:
        """Write what a power cut leaves, at the whim of `seed`, into the new folder `into`."""
        dice = random.Random(seed)
        if dice.random() < 0.5:  # as a journal does: all names up to some moment
            kept = self.journal[: dice.randint(0, len(self.journal))]
        else:
            share = dice.choice((0.1, 0.5, 0.9))
            kept = [naming for naming in self.journal if dice.random() < share]
        names: dict[int, dict[str, Node]] = {}
        for naming in kept:
            naming.apply(names.setdefault(id(naming.folder), dict(naming.folder.safe)))
        self._leave(self.top, into, names, dice)

    def _leave(
        self, folder: Folder, into: Path, names: dict[int, dict[str, Node]], dice: random.Random
    ) -> None:
        into.mkdir()
        for name, node in names.get(id(folder), folder.safe).items():
            if isinstance(node, Folder):
                self._leave(node, into / name, names, dice)
            else:
                (into / name).write_bytes(_survives(node, dice))

    def _find(self, path: str) -> Node | None:
        node: Node | None = self.top
        for part in filter(None, path.removeprefix(self.root).split("/")):
            node = node.live.get(part) if isinstance(node, Folder) else None
        return node

    def _parent(self, path: str) -> tuple[Folder, str]:
        above, _, name = path.rpartition("/")
        folder = self._find(above)
        assert isinstance(folder, Folder), path
        return folder, name

    def _name(self, folder: Folder, removed: str | None, added: tuple[str, Node] | None) -> None:
        naming = Naming(folder, removed, added)
        naming.apply(folder.live)
        self.journal.append(naming)

    def _mark(self, record: Record) -> None:
        self.marks.append(record.path)

    def _open(self, record: Record) -> None:
        file = self._find(record.path)
        if file is None and record.value & os.O_CREAT:
            folder, name = self._parent(record.path)
            self._name(folder, None, (name, File()))
        elif isinstance(file, File) and record.value & os.O_TRUNC and file.live:
            _change(file, 0, None)

    def _write(self, record: Record) -> None:
        file = self._find(record.path)
        assert isinstance(file, File), record.path
        _change(file, record.value, record.data)

    def _truncate(self, record: Record) -> None:
        file = self._find(record.path)
        assert isinstance(file, File), record.path
        _change(file, record.value, None)

    def _sync(self, record: Record) -> None:
        match self._find(record.path):
            case File() as file:
                file.safe, file.pending = file.live, []
            case Folder() as folder:
                folder.safe = dict(folder.live)
                self.journal = [naming for naming in self.journal if naming.folder is not folder]

    def _rename(self, record: Record) -> None:
        (folder, name), (folder2, name2) = self._parent(record.path), self._parent(record.path2)
        assert folder is folder2, "a rename from one folder to another is not modeled"
        self._name(folder, name, (name2, folder.live[name]))

    def _mkdir(self, record: Record) -> None:
        if record.path != self.root:
            folder, name = self._parent(record.path)
            self._name(folder, None, (name, Folder()))

    def _unlink(self, record: Record) -> None:
        folder, name = self._parent(record.path)
        self._name(folder, name, None)

    _rmdir = _unlink

    def _other(self, record: Record) -> None:
        raise AssertionError(f"the model of the disk does not know this change of {record.path}")


def committed(run: Path, records: list[Record], disk: Disk | None = None) -> dict[str, dict[str, bytes]]:
    """The tensor files of each step at the moment when it got its name, by the name of the step."""
    disk, found = disk or Disk(run), {}
    for record in records:
        disk.replay([record])
        above, _, name = record.path2.rpartition("/")
        if record.kind == "rename" and above == f"{run}/checkpoints" and name.startswith("step-"):
            folder = f"checkpoints/{name}/"
            found[name] = {
                path.removeprefix(folder): data
                for path, data in disk.files().items()
                if path.startswith(folder) and path.endswith(".safetensors")
            }
    return found


def _change(file: File, offset: int, data: bytes | None) -> None:
    file.live = _applied(file.live, offset, data)
    file.pending.append((offset, data))


def _applied(content: bytes, offset: int, data: bytes | None) -> bytes:
    content = content[:offset] if data is None else content
    filled = content + bytes(max(0, offset - len(content)))
    return filled if data is None else filled[:offset] + data + filled[offset + len(data) :]


def _survives(file: File, dice: random.Random) -> bytes:
    """The content of a file after a power cut."""
    if dice.random() < 0.25:
        return file.live
    content = file.safe
    for offset, data in file.pending:
        fate = dice.choice(("whole", "part", "zeros", "lost"))
        if data is None or fate == "whole":
            content = _applied(content, offset, data)
        elif fate == "part":
            kept = min(len(data), BLOCK * dice.randint(0, len(data) // BLOCK))
            content = _applied(content, offset, data[:kept])
        elif fate == "zeros":
            content = _applied(content, offset, bytes(len(data)))
    return content


def _load(path: Path) -> Folder:
    folder = Folder()
    for entry in path.iterdir():
        data = b"" if entry.is_dir() else entry.read_bytes()
        folder.live[entry.name] = _load(entry) if entry.is_dir() else File(data, data)
    folder.safe = dict(folder.live)
    return folder


def _walk(folder: Folder, prefix: str) -> Iterable[tuple[str, bytes]]:
    for name, node in folder.live.items():
        if isinstance(node, Folder):
            yield from _walk(node, f"{prefix}{name}/")
        else:
            yield prefix + name, node.live
