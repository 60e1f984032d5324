"""Import a nanoGPT checkpoint as a run; with a text, measure it against the baselines.

`interop` reads the file.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from glassgpt.checkpoint import Run
from glassgpt.config import DataConfig
from glassgpt.data import Corpus, read_corpus
from glassgpt.device import choose_device
from glassgpt.errors import UserError
from glassgpt.interop import Checkpoint, read_nanogpt
from glassgpt.language import N_
from glassgpt.paths import check_file
from glassgpt.tokenizers import CharTokenizer, Tokenizer, load_tokenizer
from glassgpt.train.importing.make_run import ImportedModel, make_run
from glassgpt.train.new_path import free_path

MAX_PADDING = 127
"""Maximum padding of a vocabulary: rounding up to multiples of 64 or 128 adds unused ids."""


def import_nanogpt(
    path: Path | str,
    out: Path | str | None = None,
    *,
    text: Path | str | None = None,
    tokenizer: Path | str | None = None,
    device: str = "auto",
    stage: Callable[[str], None] | None = None,
) -> Run:
    """Create a run from nanoGPT's `ckpt.pt`, at `out` (by default below `runs/`).

    text: the input.txt of the training; its characters are the vocabulary, and the model is measured on its
    last tenth. tokenizer: a tokenizer.json, such as GPT-2's, for a model with other tokens than characters.
    One of them is required; with both, the text is for measuring only. Raises UserError, and leaves nothing
    behind, if a file cannot be used or the files do not belong together. Warns about changes.
    """
    stage = stage or (lambda _: None)
    choose_device(device)  # fail before any work is done
    for file in filter(None, (path, text, tokenizer)):
        check_file(file)
    if text is None and tokenizer is None:
        raise UserError(
            "a checkpoint does not name its tokens. Give the input.txt of its characters (`text`), or the "
            "tokenizer.json of its tokenizer (`tokenizer`)."
        )
    path = Path(path)
    # named after the checkpoint's folder: every file is called ckpt.pt
    target = Path(out) if out else free_path(path.resolve().parent.name or "nanogpt")
    Run.check_free(target)
    stage(N_("reading {path}", path=path))
    found = read_nanogpt(path)
    data = DataConfig(sources=() if text is None else (str(text),), split="end")  # as nanoGPT splits it
    corpus = read_corpus(data) if data.sources else None
    if tokenizer is not None:
        known = load_tokenizer(Path(tokenizer))
        found, notes = _without_padding(found, known, path)
    else:
        assert corpus is not None
        known, notes = _characters(corpus, found, path), []
    imported = ImportedModel(found.config, known, found.tensors, found.step, found.source)
    run = make_run(target, imported, corpus, data, device, stage)
    for note in (*notes, *(corpus.notes if corpus else ())):
        warnings.warn(note, stacklevel=2)
    return run


def _characters(corpus: Corpus, found: Checkpoint, path: Path) -> CharTokenizer:
    """Return nanoGPT's character vocabulary: the characters of the whole text, in order."""
    chunks = (chunk for part in (corpus.train, corpus.val) for chunk in part.chunks())
    known = CharTokenizer.train(chunks, fallback=False)
    if known.n_vocab != found.n_vocab:
        raise UserError(
            "the text has {n_vocab:,} different characters, and {path} a vocabulary of {expected:,}. Give "
            "the whole text of its training, or its tokenizer.json (`tokenizer`).",
            n_vocab=known.n_vocab,
            path=path,
            expected=found.n_vocab,
        )
    return known


def _without_padding(found: Checkpoint, known: Tokenizer, path: Path) -> tuple[Checkpoint, list[str]]:
    """Cut padding from the vocabulary; returns notes for the user as well."""
    surplus = found.n_vocab - known.n_vocab
    if not 0 <= surplus <= MAX_PADDING:
        raise UserError(
            "the tokenizer has {n_vocab:,} tokens, and {path} a vocabulary of {expected:,}; padding "
            "explains up to {max_padding} more. Give the tokenizer of its training.",
            n_vocab=known.n_vocab,
            path=path,
            expected=found.n_vocab,
            max_padding=MAX_PADDING,
        )
    if not surplus:
        return found, []
    note = N_(
        "the vocabulary of {n_vocab:,} is cut to the {n_kept:,} tokens of the tokenizer: "
        "the others are padding, which nanoGPT could choose, however unlikely",
        n_vocab=found.n_vocab,
        n_kept=known.n_vocab,
    )
    return found.with_vocabulary(known.n_vocab), [note]
