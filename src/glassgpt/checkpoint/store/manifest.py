"""The manifest of a step: names, sizes and SHA-256 of its files.

Damage raises UserError. A manifest is not a signature: it shows damage, not the author of the step.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from glassgpt.checkpoint.store.migrate import path_from
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.safe_io import damaged, file_size, quoted, read_json

MANIFEST = "MANIFEST.json"
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""No separator, no drive, no `..`, no hidden file."""
SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_FILES = 1000
SYSTEM_FILES = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|\.nfs.*")
"""Files that operating systems leave in folders. They do no harm and do not invalidate a step."""


def fingerprint(path: Path) -> dict[str, Any]:
    """Return the size and SHA-256 of a file: its entry in the manifest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def read_manifest(step: Path) -> dict[str, Any]:
    """Read and check `{"format": n, "files": {name: {"bytes": n, "sha256": hex}}}`."""
    path = step / MANIFEST
    if step.is_symlink() or not step.is_dir():
        raise UserError(
            "{step} is no folder of its own, and a run holds its own steps. Remove it.", step=step
        )
    manifest = read_json(path)
    version, files = manifest.get("format"), manifest.get("files")
    if type(version) is not int:
        raise damaged(path, N_("no format number"))
    try:
        path_from(version)
    except UserError as error:
        raise UserError("{step}: {error}", step=step, error=error) from None
    if (
        not isinstance(files, dict)
        or not 0 < len(files) <= MAX_FILES
        or manifest.keys() != {"format", "files"}
    ):
        raise damaged(path, N_("not a list of 1 to {max_files} files", max_files=MAX_FILES))
    for name, about in files.items():
        _check_entry(path, name, about)
    return manifest


def check_sizes(step: Path) -> dict[str, Any]:
    """Check names and sizes of a step's files, and return the entries of its manifest.

    Raises UserError for a missing file, an extra one, or another size.
    """
    files = read_manifest(step)["files"]
    present = {path.name for path in step.iterdir() if not SYSTEM_FILES.fullmatch(path.name)}
    if extra := sorted(present - files.keys() - {MANIFEST}):
        names = ", ".join(map(quoted, extra[:5]))
        raise UserError(
            "{step} holds {names}, which its manifest does not name. Move it out of the folder.",
            step=step,
            names=names,
        )
    for name, about in files.items():
        if (size := file_size(step / name)) != about["bytes"]:
            raise damaged(
                step / name, N_("{size:,} bytes, not {expected:,}", size=size, expected=about["bytes"])
            )
    return files


def check_hashes(step: Path) -> None:
    """Check the SHA-256 of every file, after `check_sizes`. Raises UserError."""
    for name, about in read_manifest(step)["files"].items():
        if fingerprint(step / name) != about:
            raise damaged(step / name, N_("another SHA-256 than in the manifest"))


def _check_entry(path: Path, name: str, about: Any) -> None:
    """Raise UserError unless an entry has a plain name, a size and a SHA-256."""
    if not PLAIN_NAME.fullmatch(name) or name == MANIFEST:
        raise UserError(
            "{path}: {name} is not the name of a file in that folder. glassgpt did not write it. Do not use "
            "the step.",
            path=path,
            name=quoted(name),
        )
    match about:
        case {"bytes": int(size), "sha256": str(digest), **rest} if (
            not rest and type(size) is int and size >= 0
        ):
            if SHA256.fullmatch(digest):
                return
    raise damaged(path, N_("no size and SHA-256 of {name}", name=quoted(name)))
