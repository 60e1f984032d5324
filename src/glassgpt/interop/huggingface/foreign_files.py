"""Files of a Hugging Face folder: which are read, and where each tensor is. Nothing in them is executed.

Only JSON and safetensors are read. A .bin or .pt is a pickle, which may hold a program: it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from glassgpt.checkpoint import PLAIN_NAME, TensorPlace, read_places
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.safe_io import MAX_LIST, damaged, file_size, quoted, read_json, read_start

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""File of each tensor, if the weights are in several files."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
LFS = b"version https://git-lfs"
"""First bytes of the text that `git clone` leaves in place of a large file."""
FOLDER_REMEDY = N_("Give a folder of `save_pretrained`, or one downloaded from the hub.")


class Stored(NamedTuple):
    """Where a tensor is."""

    file: Path
    place: TensorPlace


class StoredWeights(NamedTuple):
    """Files of weights by name, and the tensors in them."""

    files: Mapping[str, Path]
    tensors: Mapping[str, Stored]


def find_file(folder: Path, name: str) -> Path | None:
    """Return the path of a regular file in a folder, or None without one.

    A link is followed only in the hub's own cache, where each file is a link into `blobs`. Raises UserError
    for any other link, and for a pipe or a device.
    """
    path = folder / name
    if path.is_symlink():
        blobs = folder.resolve().parent.parent / "blobs"
        if folder.resolve().parent.name == "snapshots" and path.resolve().parent == blobs:
            path = path.resolve()
    elif not path.exists():
        return None
    file_size(path)
    return path


def require_file(folder: Path, name: str) -> Path:
    """Return the path of a file. Raises UserError without one."""
    if path := find_file(folder, name):
        return path
    raise UserError("{folder} has no {name}. {remedy}", folder=folder, name=name, remedy=FOLDER_REMEDY)


def find_weights(folder: Path) -> StoredWeights:
    """Find the tensors of a folder: in one file, or in the files that an index names.

    Raises UserError if there are no safetensors, or if index and files differ.
    """
    if single := find_file(folder, WEIGHTS):
        tensors = {name: Stored(single, place) for name, place in _places(single).items()}
        return StoredWeights({WEIGHTS: single}, tensors)
    if index := find_file(folder, INDEX):
        return _indexed(folder, index)
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        raise UserError(
            "{folder} holds its weights as {pickle}, which could hold a program. Load it with transformers "
            "if you trust it, save it again with `save_pretrained` (it writes safetensors), and import that.",
            folder=folder,
            pickle=quoted(pickles[0]),
        )
    raise UserError("{folder} has no {name}. {remedy}", folder=folder, name=WEIGHTS, remedy=FOLDER_REMEDY)


def _places(path: Path) -> dict[str, TensorPlace]:
    """Return the places in a file. Raises UserError for a text that stands for a file in Git LFS."""
    if read_start(path, len(LFS)) == LFS:
        raise UserError(
            "{path} is a pointer of Git LFS, not the weights. Fetch them in that folder: git lfs pull",
            path=path,
        )
    return read_places(path)


def _indexed(folder: Path, index: Path) -> StoredWeights:
    """Return the tensors of all files that an index names. Raises UserError if index and files differ."""
    listed: Any = read_json(index, MAX_LIST).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise damaged(index, N_("no list of tensors (`weight_map`)"))
    files: dict[str, Path] = {}
    found: dict[str, Stored] = {}
    for shard in sorted({*map(str, listed.values())}):
        if not PLAIN_NAME.fullmatch(shard) or not shard.endswith(".safetensors"):
            raise damaged(index, f"{quoted(shard)} is not the name of a safetensors file in that folder")
        files[shard] = require_file(folder, shard)
        for name, place in _places(files[shard]).items():
            if listed.get(name) != shard:
                raise damaged(index, f"{quoted(name)} is in {shard}, and the index says otherwise")
            found[name] = Stored(files[shard], place)
    if missing := listed.keys() - found.keys():
        raise damaged(index, f"{quoted(min(missing))} is in no file")
    return StoredWeights({INDEX: index, **files}, found)
