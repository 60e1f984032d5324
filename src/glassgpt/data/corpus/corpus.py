"""Corpora of running text: a training split, a validation split, and a record of their sources.

This file joins documents, splits them and reports. readers.py reads formats, sources.py finds files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from glassgpt.config import DataConfig
from glassgpt.data.corpus.leakage import Leakage, find_leakage
from glassgpt.data.corpus.skipped import skipped_files
from glassgpt.data.corpus.split import SplitKind, divide
from glassgpt.data.corpus.spool import Spool
from glassgpt.data.corpus.text import Document, Text
from glassgpt.data.files import (
    NotText,
    Report,
    Source,
    hidden_files,
    open_document,
    replace_surrogates,
    resolve_sources,
    unpack,
)
from glassgpt.errors import UserError
from glassgpt.language import N_

__all__ = ["MAX_VAL_CHARS", "MIN_CHARS", "Corpus", "Document", "Text", "read_corpus"]

MIN_CHARS = 1_000
"""Shorter texts cannot be split: their validation split would be a sentence."""
MIN_VAL_CHARS = 100
MAX_VAL_CHARS = 2_000_000
"""Limit of the validation split, since each evaluation reads all of it. At this size the error bar of the
loss is at most a few thousandths of a nat; a larger split costs time and gains nothing."""


@dataclass(frozen=True)
class Corpus:
    """A training split and a validation split of one text. All newlines are `\\n`."""

    train: Text
    val: Text
    documents: tuple[Document, ...]
    notes: tuple[str, ...] = field(default=())
    """Notes for the user: guessed encodings, skipped files, passages in both splits."""
    split: SplitKind = "end"
    """The kind of split."""
    end: str = ""
    """Mark at the end of each document, see split.py; "" without one."""
    leakage: Leakage | None = None
    """Passages and lines in both splits, if there are any."""
    train_bytes: tuple[int, ...] = ()
    """Bytes of each document in the training split, in order; empty if its lines were shuffled."""

    @property
    def leak_note(self) -> str:
        """Note about the passages and lines in both splits; empty if they hardly matter."""
        return str(self.leakage) if self.leakage and self.leakage.is_notable else ""

    @classmethod
    def from_text(cls, text: str, val_fraction: float = 0.1) -> Corpus:
        """Make a corpus of one string. Each split must get at least one character.

        Raises UserError for an empty text.

        >>> corpus = Corpus.from_text("to be or not to be, ", val_fraction=0.25)
        >>> corpus.train.read(), corpus.val.read()
        ('to be or not to', ' be, ')
        """
        data = text.encode("utf-8", "replace")
        with Spool() as spool:
            n_chars = spool.add([text])
            if not n_chars:
                raise UserError("the text is empty. Give a text to train on.")
            document = Document("text", "utf-8", n_chars, len(data), hashlib.sha256(data).hexdigest())
            return _split(spool, "end", val_fraction, [document], [], [0])

    def texts(self) -> Iterator[str]:
        """Yield the training text in pieces, for a tokenizer to learn from."""
        return self.train.chunks()

    def manifest(self) -> dict[str, Any]:
        """Return documents, lengths, notes and the SHA-256 of the whole text, as JSON values."""
        digest = hashlib.sha256()
        for text in (self.train, self.val):
            for piece in text.raw_chunks():
                digest.update(piece)
        return {
            "documents": [asdict(document) for document in self.documents],
            "train": self.train.lengths(),
            "val": self.val.lengths(),
            "sha256": digest.hexdigest(),
            "notes": list(self.notes),
            "split": self.split,
            "train_bytes": list(self.train_bytes),
            "end": self.end,
            "leakage": asdict(self.leakage) if self.leakage else None,
            "leak_note": self.leak_note,
        }


def read_corpus(config: DataConfig, folder: Path | None = None, *, marks: bool = False) -> Corpus:
    """Read all `config.sources` into one UTF-8 file, joined by blank lines, and split it, see split.py.

    The file lies in `folder`; by default in a temporary folder, removed with the last text in it. RAM use is
    bounded for any size. A file that was found in a folder or archive and has no readable text is skipped and
    named in a note. Raises UserError for such a file if the user named it, and for fewer than MIN_CHARS
    characters. marks: mark the ends of documents, if there are many.
    """
    # before the spool exists: it may lie in one of these folders
    sources = resolve_sources(config.sources, config.follow_links)
    documents, starts = list[Document](), list[int]()
    report = Report()
    skipped: list[tuple[str, NotText]] = []
    with Spool(folder) as spool:
        for source in (part for whole in sources for part in unpack(whole)):
            try:
                first = spool.n_parts
                documents.append(_read_document(source, config, spool, report))
                starts.append(spool.part_start(first))
            except NotText as problem:
                if source.explicit:
                    raise
                skipped.append((source.name, problem))
        left_out = skipped_files(skipped, config.list_skipped)
        _check_length(config, spool.n_chars, left_out)
        notes = [*hidden_files(config.sources), *report.notes(), *left_out]
        return _split(spool, config.split, config.val_fraction, documents, notes, starts, marks)


def _read_document(source: Source, config: DataConfig, spool: Spool, report: Report) -> Document:
    found = Report(config.skip_invalid or not source.explicit)  # one bad row costs a folder no file
    with source.open() as stream:
        document = open_document(stream, source.name, config, found, source.budget)
        n_chars = spool.add(document.pieces, document.rows)
    if not n_chars:
        empty = N_("{name}: it is empty or only white space. Give a file with text.", name=source.name)
        raise NotText(str(found.first_problem or empty))
    report.absorb(found)
    return Document(
        replace_surrogates(source.name), document.encoding, n_chars, document.n_bytes, document.sha256
    )


def _split(
    spool: Spool,
    kind: SplitKind | Literal["auto"],
    val_fraction: float,
    documents: Sequence[Document],
    notes: Sequence[str],
    starts: Sequence[int],
    marks: bool = False,
) -> Corpus:
    """Divide a text. starts: the offset in bytes of each document. marks: see `read_corpus`."""
    division = divide(spool, kind, min(val_fraction, MAX_VAL_CHARS / spool.n_chars), marks)
    train, val = division.train, division.val
    notes = (*notes, *filter(None, [division.note]))
    sizes = () if division.kind == "lines" else _train_bytes(train, [*starts, spool.n_bytes])
    kept = {"leakage": find_leakage(train, val), "train_bytes": sizes}
    corpus = Corpus(train, val, tuple(documents), notes, division.kind, division.end, **kept)
    return replace(corpus, notes=(*notes, *filter(None, [corpus.leak_note])))


def _train_bytes(train: Text, edges: Sequence[int]) -> tuple[int, ...]:
    """Return the bytes of each document in the training split, with the blank line after it.

    edges: the offsets of all documents, and that of the end.
    """
    sizes = np.zeros(len(edges) - 1, np.int64)
    for start, stop, _ in train.stretches:
        sizes += np.diff(np.clip(edges, start, stop))
    return tuple(sizes.tolist())


def _check_length(config: DataConfig, n_chars: int, skipped: Sequence[str]) -> None:
    if not n_chars:
        raise UserError(
            "{sources}: no text found. Give at least one file with text.{reasons}",
            sources=", ".join(config.sources),
            reasons="".join(f"\n  {reason}" for reason in skipped),
        )
    if n_chars < MIN_CHARS:
        raise UserError(
            "{sources}: {n_chars:,} characters are too few to train and validate on; the minimum is "
            "{min_chars:,}. Add more text.",
            sources=", ".join(config.sources),
            n_chars=n_chars,
            min_chars=MIN_CHARS,
        )
    n_val = n_chars - int(n_chars * (1 - config.val_fraction))
    if n_val < MIN_VAL_CHARS:
        raise UserError(
            "the validation split has {n_val} characters; the minimum is {min_val_chars}. Raise "
            "`val_fraction` ({val_fraction}), or add text.",
            n_val=n_val,
            min_val_chars=MIN_VAL_CHARS,
            val_fraction=config.val_fraction,
        )
