"""Token ids of running text on disk: one memory-mapped file per split, of any size.

Tokenizers are lossless, so these files are also the run's copy of its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassgpt.atomic_write import replacing
from glassgpt.data.corpus import Corpus, stored_leakage
from glassgpt.language import N_
from glassgpt.safe_io import MAX_LIST, damaged, file_size, quoted, read_json
from glassgpt.tokenizers import Tokenizer

ID_TYPES = ("|u1", "<u2", "<u4")
"""NumPy types of stored token ids."""
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

    @property
    def largest_id(self) -> int:
        """The largest token id; reads all of them."""
        return int(np.max(self.ids, initial=0))


@dataclass(frozen=True)
class TokenData:
    """The training and validation splits of a run."""

    train: Split
    val: Split
    leak_note: str = ""
    """Note about passages and lines in both splits; empty without any."""
    is_list: bool = False
    """True for a list of lines, whose order means nothing."""


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
    manifest = folder / "manifest.json"
    about = read_json(manifest, MAX_LIST)
    tokens, leakage = about.get("tokens"), stored_leakage(about.get("leakage"))
    train, val = (_open_split(folder, name, tokens, manifest) for name in ("train", "val"))
    leak_note = str(leakage) if leakage and leakage.is_notable else ""
    return TokenData(train, val, leak_note, about.get("split") == "lines")


def _write_ids(path: Path, chunks: Iterable[str], tokenizer: Tokenizer) -> tuple[str, int]:
    n_tokens, dtype = 0, np.dtype(np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        for chunk in chunks:
            ids = tokenizer.encode_array(chunk)
            file.write(ids.tobytes())
            n_tokens, dtype = n_tokens + len(ids), ids.dtype
    return dtype.str, n_tokens


def _open_split(folder: Path, name: str, about: Any, manifest: Path) -> Split:
    match about.get(name) if isinstance(about, dict) else None:
        case {"dtype": str(dtype), "n_tokens": int(n), "n_chars": int(n_chars), "n_bytes": int(n_bytes)} if (
            dtype in ID_TYPES and min(n, n_chars, n_bytes) > 0
        ):
            pass
        case other:
            raise damaged(
                manifest,
                N_("{name} is {type}, not a type of ids and three counts", name=name, type=quoted(other)),
            )
    path, expected = folder / f"{name}.bin", n * np.dtype(dtype).itemsize
    if (size := file_size(path)) != expected:
        raise damaged(path, N_("{size:,} bytes, not {expected:,}", size=size, expected=expected))
    ids = np.fromfile(path, dtype) if size <= IN_MEMORY_BYTES else np.memmap(path, dtype, mode="r")
    return Split(ids, n_chars, n_bytes)
