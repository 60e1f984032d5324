"""Copying of a run: its training text as an index on disk, and the text that it writes, measured with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from glassgpt.checkpoint import Run, fingerprint, run_tokens
from glassgpt.data import Split
from glassgpt.diagnose import (
    CHUNK,
    Copying,
    IndexCost,
    SuffixIndex,
    build_index,
    check_installed,
    index_cost,
    measure_copying,
    open_index,
)
from glassgpt.errors import UserError
from glassgpt.generate import sample_text
from glassgpt.ram import memory_bytes
from glassgpt.safe_io import MAX_LIST, read_json
from glassgpt.tokenizers import Tokenizer

FOLDER = "copying"
"""Folder of the index, below the run's data."""
PIECE = 1 << 20
"""Tokens that are decoded at once."""
HELD_OUT_TOKENS = 1 << 21
"""Held-out tokens that are compared with, at most."""
N_TOKENS = 500
"""Tokens that a run writes to be measured."""


@dataclass(frozen=True)
class CopyingMeter:
    """The training text of a run, ready to be searched, and its held-out text."""

    index: SuffixIndex
    held_out: str
    documents: tuple[tuple[str, int], ...] = ()
    """Name of each document, and the byte of the training text after it; empty if lines were shuffled."""

    @classmethod
    def open(cls, run: Run, tokenizer: Tokenizer) -> CopyingMeter:
        """Open the index of a run, which is made once. Raises UserError without its training text."""
        data = run_tokens(run, tokenizer.n_vocab)
        key, folder = _key(run), run.data / FOLDER
        try:
            index = open_index(folder, key)
        except UserError:
            index = build_index(folder, _pieces(data.train, tokenizer), key, _chunk())
        held_out = b"".join(_pieces(Split(data.val.ids[:HELD_OUT_TOKENS], 0, 0), tokenizer))
        return cls(index, held_out.decode("utf-8", "replace"), _documents(run))

    def measure(self, text: str) -> Copying:
        """Measure a text; see `copying`."""
        return measure_copying(self.index, text, self.held_out, self._locate)

    def _locate(self, offset: int) -> tuple[int, str]:
        start = 0
        for name, stop in self.documents:
            if offset < stop:
                return self.index.line_of(offset) - self.index.line_of(start) + 1, name
            start = stop
        return self.index.line_of(offset), ""


def copying(
    run: Run | Path | str, text: str | None = None, *, max_new_tokens: int = N_TOKENS, seed: int = 1
) -> Copying:
    """Measure how much of a text stands word for word in the training text of a run.

    Each figure stands next to that of held-out text of the same length. Passages that the training text
    itself repeats often are not counted. text: the text to measure; without one, the run writes
    `max_new_tokens` tokens. The index of the training text is made once and stays in the run's folder: up to
    8 bytes a character. Print the result, or show it in a notebook. Raises UserError for a run without
    training text, and if `pydivsufsort` is not installed.
    """
    opened = Run.open(Path(run))
    if text is None:
        text = text_to_measure(opened, max_new_tokens, seed)
    if not text:
        raise UserError("the text is empty. Give a text to measure.")
    return CopyingMeter.open(opened, opened.tokenizer()).measure(text)


def text_to_measure(run: Run, max_new_tokens: int, seed: int) -> str:
    """Let a run write. Raises UserError for a model that does not continue text."""
    if run.config().model.family not in ("gpt", "bigram"):
        raise UserError("{run}: this model does not continue text. Give the text to measure.", run=run)
    model, tokenizer = run.model(), run.tokenizer()
    return "".join(sample_text(model, tokenizer, ignore_end=True, max_new_tokens=max_new_tokens, seed=seed))


def has_index(run: Run) -> bool:
    """Return True if the index of a run's training text is there."""
    try:
        open_index(run.data / FOLDER, _key(run))
    except UserError:
        return False
    return True


def copying_cost(run: Run, tokenizer: Tokenizer) -> IndexCost:
    """Return what the index of a run costs. Raises UserError without training text or the extra."""
    check_installed()
    return index_cost(run_tokens(run, tokenizer.n_vocab).train.n_bytes, _chunk())


def _chunk() -> int:
    """Return the bytes of text to sort at once: half of the RAM at most."""
    return min(CHUNK, memory_bytes() // 16)


def _pieces(split: Split, tokenizer: Tokenizer) -> Iterator[bytes]:
    for start in range(0, len(split.ids), PIECE):
        yield tokenizer.token_bytes(split.ids[start : start + PIECE].astype(np.int64))


def _key(run: Run) -> str:
    """Return a name of the training text: the hashes of its tokens and of the tokenizer."""
    stored = read_json(run.data_hashes) if run.data_hashes.exists() else {}
    files = sorted(path for path in run.data.glob("train.*") if path.is_file())
    about = [(path.name, stored.get(path.name) or fingerprint(path)) for path in files]
    return hashlib.sha256(f"{about} {fingerprint(run.tokenizer_file)}".encode()).hexdigest()


def _documents(run: Run) -> tuple[tuple[str, int], ...]:
    """Return the documents of the training text with their ends, as far as the manifest knows them."""
    try:
        about = read_json(run.data / "manifest.json", MAX_LIST)
    except UserError:
        return ()
    match about:
        case {"documents": [*documents], "train_bytes": [*sizes]} if len(documents) == len(sizes):
            names = [Path(str(each.get("name", ""))).name for each in documents if isinstance(each, dict)]
            ends = accumulate(size if isinstance(size, int) else 0 for size in sizes)
            return tuple(zip(names, ends, strict=False))
        case {"split": "end", "documents": [{"name": str(name)}], "train": {"n_bytes": int(n)}}:
            return ((Path(name).name, n),)  # a run from before the sizes were recorded
    return ()
