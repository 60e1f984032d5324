"""The manifest of a step: which files it has, of what size and SHA-256, and whether that is so.

What is wrong raises UserError. A manifest is not a signature: it shows damage, not who made the step.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from glassgpt.checkpoint.store.migrate import path_from
from glassgpt.checkpoint.store.safe_io import file_size, quoted, read_json
from glassgpt.errors import UserError

MANIFEST = "MANIFEST.json"
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""No separator, no drive, no `..`, nothing hidden."""
SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_FILES = 1000
DROPPINGS = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|\.nfs.*")
"""What operating systems leave in folders; nobody reads it, and no step should be lost over it."""


def fingerprint(path: Path) -> dict[str, Any]:
    """What the manifest says of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def read_manifest(step: Path) -> dict[str, Any]:
    """`{"format": n, "files": {name: {"bytes": n, "sha256": hex}}}`, every part of it checked."""
    path = step / MANIFEST
    if step.is_symlink() or not step.is_dir():
        raise UserError(f"{step} is no folder of its own: a run holds its steps itself; remove it")
    manifest = read_json(path)
    version, files = manifest.get("format"), manifest.get("files")
    if type(version) is not int:
        raise UserError(f"{path} names no format: it is damaged")
    try:
        path_from(version)
    except UserError as error:
        raise UserError(f"{step}: {error}") from None
    if (
        not isinstance(files, dict)
        or not 0 < len(files) <= MAX_FILES
        or manifest.keys() != {"format", "files"}
    ):
        raise UserError(f"{path} does not list 1 to {MAX_FILES} files: it is damaged")
    for name, about in files.items():
        _check_entry(path, name, about)
    return manifest


def check_sizes(step: Path) -> dict[str, Any]:
    """Raise UserError unless a step holds the files of its manifest, of their sizes; returns these."""
    files = read_manifest(step)["files"]
    there = {path.name for path in step.iterdir() if not DROPPINGS.fullmatch(path.name)}
    if strange := sorted(there - files.keys() - {MANIFEST}):
        raise UserError(
            f"{step} holds {', '.join(map(quoted, strange[:5]))}, which its manifest does not name: take it "
            "out of the folder"
        )
    for name, about in files.items():
        if (size := file_size(step / name)) != about["bytes"]:
            raise UserError(
                f"{step / name} is not what was written: it has {size:,} bytes, not {about['bytes']:,}"
            )
    return files


def check_hashes(step: Path) -> None:
    """Raise UserError unless every file hashes to what the manifest says; their sizes have been checked."""
    for name, about in read_manifest(step)["files"].items():
        if fingerprint(step / name) != about:
            raise UserError(f"{step / name} is not what was written: its SHA-256 differs")


def _check_entry(path: Path, name: str, about: Any) -> None:
    if not PLAIN_NAME.fullmatch(name) or name == MANIFEST:
        raise UserError(
            f"{path} names {quoted(name)}, which is not the name of a file in that folder: it was not "
            "written by glassgpt; do not use it"
        )
    match about:
        case {"bytes": int(size), "sha256": str(digest), **rest} if (
            not rest and type(size) is int and size >= 0
        ):
            if SHA256.fullmatch(digest):
                return
    raise UserError(f"{path} gives no size and SHA-256 of {quoted(name)}: it is damaged")
