"""Token ids of running text on disk: one memory-mapped file per split, of any size.

Tokenizers are lossless, so these files are also the run's copy of its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassgpt.atomic_write import replacing
from glassgpt.data.corpus import Corpus
from glassgpt.errors import UserError
from glassgpt.tokenizers import Tokenizer

IN_MEMORY_BYTES = 1 << 28
"""Files up to this size are read into RAM: random access is faster than to a memory map."""


@dataclass(frozen=True)
class Split:
    """Token ids of one split, with the lengths that losses are divided by."""

    ids: np.ndarray
    n_chars: int
    n_bytes: int

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class TokenData:
    """The training and validation splits of a run."""

    train: Split
    val: Split


def write_tokens(corpus: Corpus, tokenizer: Tokenizer, folder: Path) -> TokenData:
    """Encode both splits into `folder` (train.bin, val.bin, manifest.json) and open them.

    The manifest is written last: a folder with one is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    splits = {}
    for name, text in (("train", corpus.train), ("val", corpus.val)):
        dtype, n_tokens = _write_ids(folder / f"{name}.bin", text.chunks(), tokenizer)
        splits[name] = {"n_tokens": n_tokens, **text.lengths(), "dtype": dtype}
    manifest = {**corpus.manifest(), "tokens": splits}
    with replacing(folder / "manifest.json") as temporary:
        temporary.write_text(json.dumps(manifest, ensure_ascii=False, indent=1), "utf-8")
    return open_tokens(folder)


def open_tokens(folder: Path) -> TokenData:
    """Open the splits written by `write_tokens`. Raises UserError if one is missing or damaged."""
    try:
        splits = json.loads((folder / "manifest.json").read_text("utf-8"))["tokens"]
        return TokenData(*(_open_split(folder / f"{name}.bin", splits[name]) for name in ("train", "val")))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{folder}: cannot read the tokens ({error}). Train a new run.") from error


def _write_ids(path: Path, chunks: Iterable[str], tokenizer: Tokenizer) -> tuple[str, int]:
    n_tokens, dtype = 0, np.dtype(np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        for chunk in chunks:
            ids = tokenizer.encode_array(chunk)
            file.write(ids.tobytes())
            n_tokens, dtype = n_tokens + len(ids), ids.dtype
    return dtype.str, n_tokens


def _open_split(path: Path, about: dict) -> Split:
    dtype, expected = np.dtype(about["dtype"]), about["n_tokens"]
    if path.stat().st_size != expected * dtype.itemsize:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, not {expected * dtype.itemsize}")
    small = path.stat().st_size <= IN_MEMORY_BYTES
    ids = np.fromfile(path, dtype) if small else np.memmap(path, dtype, mode="r")
    return Split(ids, about["n_chars"], about["n_bytes"])
