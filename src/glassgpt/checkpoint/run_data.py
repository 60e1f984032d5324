"""The tokenized data of a run, opened and checked against its model: ids, classes and sizes of images.

An id beyond the vocabulary would fail deep in a forward pass, and a run may be a stranger's.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from glassgpt.checkpoint.run_folder import RunFolder
from glassgpt.config import ModelConfig
from glassgpt.data import ExampleData, ExampleSplit, Split, TokenData, open_examples, open_tokens
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.safe_io import MAX_LIST, damaged, read_json
from glassgpt.tokenizers import Tokenizer

__all__ = ["has_examples", "learned_a_list", "learned_lines", "run_examples", "run_tokens"]

PIECE = 1 << 20
"""Tokens of the text that are decoded at once."""


def has_examples(run: RunFolder) -> bool:
    """Return True if the data are examples, False if they are one text."""
    files = [run.data / f"{name}.safetensors" for name in ("train", "val")]
    return not (run.data / "manifest.json").exists() and any(file.exists() for file in files)


def run_tokens(run: RunFolder, n_vocab: int) -> TokenData:
    """Open the text of a run; of examples, the texts one after the other.

    n_vocab: size of the vocabulary. Raises UserError for missing or damaged data, or ids beyond it.
    """
    if has_examples(run):
        examples = run_examples(run, n_vocab)
        return TokenData(_joined(examples.train), _joined(examples.val))
    _check_text(run)
    data = open_tokens(run.data)
    for name, split in (("train", data.train), ("val", data.val)):
        _check_ids(run, f"{name}.bin", split.largest_id, n_vocab)
    return data


def run_examples(run: RunFolder, n_vocab: int) -> ExampleData:
    """Open the examples of a run.

    n_vocab: size of the vocabulary. Raises UserError for missing or damaged data, ids or classes beyond the
    model's, or images of another size.
    """
    _check_text(run)
    data, model = open_examples(run.data), run.config().model
    for name, split in (("train", data.train), ("val", data.val)):
        file = f"{name}.safetensors"
        _check_ids(run, file, split.largest_id, n_vocab)
        _check_fits(run, file, split, model)
    return data


def learned_a_list(run: RunFolder) -> bool:
    """Return True if the run learned a list of lines, such as names, which it read in random order."""
    if run.config().data.split == "lines":  # a shared copy has no manifest of its text
        return True
    try:
        return read_json(run.data / "manifest.json", MAX_LIST).get("split") == "lines"
    except UserError:
        return False


def learned_lines(run: RunFolder, tokenizer: Tokenizer, lines: Collection[str]) -> set[str]:
    """Return those of some lines that stand in the run's text as whole lines, held-out ones included.

    Raises UserError for a run without data.
    """
    data = run_tokens(run, tokenizer.n_vocab)
    wanted, found = {line.encode() for line in lines}, set[bytes]()
    for split in (data.train, data.val):
        rest = b""
        for start in range(0, len(split.ids), PIECE):
            rest += tokenizer.token_bytes(split.ids[start : start + PIECE].astype(np.int64))
            *whole, rest = rest.split(b"\n")
            found |= wanted.intersection(whole)
        found |= wanted.intersection([rest])
    return {line.decode() for line in found}


def _check_text(run: RunFolder) -> None:
    """Raise UserError for a run that was imported or shared without its data."""
    if not run.data.exists() and not run.config().data.sources:
        raise UserError(
            "{path} holds no training data: it was imported or shared without them. Use the run that it "
            "comes from, or start a new run from its weights with `init_from.run`.",
            path=run.path,
        )


def _joined(split: ExampleSplit) -> Split:
    """Return the texts of examples as one; a classifier's texts are its sources."""
    texts = split.source if split.is_class else split.text
    return Split(texts.ids, split.n_chars, split.n_bytes)


def _check_ids(run: RunFolder, file: str, largest: int, n_vocab: int) -> None:
    if largest >= n_vocab:
        raise damaged(
            run.data / file,
            N_("the id {id}, and the vocabulary ends at {last}", id=largest, last=n_vocab - 1),
        )


def _check_fits(run: RunFolder, file: str, split: ExampleSplit, model: ModelConfig) -> None:
    """Raise UserError unless classes and images are those of the model."""
    if split.is_class != bool(model.labels):
        raise damaged(run.data / file, N_("classes without a classifier, or a classifier without classes"))
    if split.is_class and (split.text.lengths != 1).any():
        raise damaged(run.data / file, N_("an example without one class"))
    if split.is_class and (largest := int(split.text.ids.max())) >= len(model.labels):
        raise damaged(
            run.data / file,
            N_("the class {label}, and the model has {n_labels}", label=largest, n_labels=len(model.labels)),
        )
    size = (model.channels, model.image_size, model.image_size)
    if (model.family == "captioner") != (split.images is not None):
        raise damaged(run.data / file, N_("images without a captioner, or a captioner without images"))
    if split.images is not None and split.images.shape[1:] != size:
        raise damaged(
            run.data / file,
            N_("images of {shape}, and the model reads {size}", shape=split.images.shape[1:], size=size),
        )
