"""What a corpus is: text to learn from, text held out to measure on, and a record of where they came from.

The formats are in readers.py, what a name or path means in sources.py; this file joins, splits and reports.
"""

from __future__ import annotations

import hashlib
import lzma
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glassgpt.config import DataConfig
from glassgpt.data.corpus.leakage import find_leakage
from glassgpt.data.corpus.spool import Spool
from glassgpt.data.corpus.text import Document, Text
from glassgpt.data.files import NotText, Source, read, resolve, unpack
from glassgpt.errors import UserError

__all__ = ["MAX_VAL_CHARS", "MIN_CHARS", "Corpus", "Document", "Text", "read_corpus"]

MIN_CHARS = 1_000
"""Shorter text can't be split and measured: a tenth of it would be a sentence."""
MIN_VAL_CHARS = 100
MAX_VAL_CHARS = 2_000_000
"""The whole validation split is measured each time. A larger one costs time and narrows the error bar by
nothing that matters: over so many characters it is a few thousandths of a nat at most."""
UNREMARKABLE = frozenset({"utf-8", "utf-8-sig", "pdf", "epub"})
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)


@dataclass(frozen=True)
class Corpus:
    """Text to learn from and, at its end, text held out to measure on. Newlines are `\\n` throughout."""

    train: Text
    val: Text
    documents: tuple[Document, ...]
    notes: tuple[str, ...] = field(default=())
    """What the user should hear: an encoding that isn't UTF-8, skipped files, passages in both splits."""

    @classmethod
    def from_text(cls, text: str, val_fraction: float = 0.1) -> Corpus:
        """A corpus of one string, of any length that leaves a character on either side.

        >>> corpus = Corpus.from_text("to be or not to be, ", val_fraction=0.25)
        >>> corpus.train.read(), corpus.val.read()
        ('to be or not to', ' be, ')
        """
        data = text.encode("utf-8", "replace")
        with Spool() as spool:
            n_chars = spool.add([text])
            if not n_chars:
                raise UserError("the text is empty; give some to learn from")
            document = Document("text", "utf-8", n_chars, len(data), hashlib.sha256(data).hexdigest())
            return _split(spool, val_fraction, [document], [])

    def texts(self) -> Iterator[str]:
        """Yield the training text in pieces, for a tokenizer to learn from."""
        return self.train.chunks()

    def manifest(self) -> dict[str, Any]:
        """All of it as JSON holds it, with the SHA-256 of the whole text as it lies on disk."""
        digest = hashlib.sha256()
        for text in (self.train, self.val):
            for piece in text.raw_chunks():
                digest.update(piece)
        return {
            "documents": [asdict(document) for document in self.documents],
            "train": {"n_chars": self.train.n_chars, "n_bytes": self.train.n_bytes},
            "val": {"n_chars": self.val.n_chars, "n_bytes": self.val.n_bytes},
            "sha256": digest.hexdigest(),
            "notes": list(self.notes),
        }


def read_corpus(config: DataConfig, folder: Path | None = None) -> Corpus:
    """Read everything that `config.sources` names into one UTF-8 file, joined by blank lines, and split it.

    The file lies in `folder`, or in a temporary one that goes when the last of its texts does. Memory is
    bounded, whatever the size. Raises UserError for what can't be read, and below MIN_CHARS characters.
    """
    sources = resolve(config.sources)  # before the spool exists, which may lie in one of the folders
    documents: list[Document] = []
    skipped: list[str] = []
    with Spool(folder) as spool:
        for source in (part for whole in sources for part in unpack(whole)):
            try:
                documents.append(_read_document(source, config, spool))
            except NotText as reason:
                if source.explicit:
                    raise
                skipped.append(str(reason))
        _check_length(config, spool.n_chars, skipped)
        return _split(spool, config.val_fraction, documents, _notes(config, documents, skipped))


def _read_document(source: Source, config: DataConfig, spool: Spool) -> Document:
    try:
        with source.open() as stream:
            reading = read(stream, source.name, config)
            n_chars = spool.add(reading.pieces)
    except DAMAGED as error:
        raise UserError(f"{source.name} is damaged ({error}); fetch or pack it again") from error
    if not n_chars:
        raise NotText(f"{source.name} is empty or holds nothing but white space; give a file with text in it")
    return Document(source.name, reading.encoding, n_chars, reading.n_bytes, reading.sha256)


def _split(spool: Spool, val_fraction: float, documents: Sequence[Document], notes: Iterable[str]) -> Corpus:
    n_train = max(int(spool.n_chars * (1 - val_fraction)), spool.n_chars - MAX_VAL_CHARS)
    train, val = spool.split(n_train)
    leakage = find_leakage(train, val)
    return Corpus(train, val, tuple(documents), (*notes, *([str(leakage)] if leakage else [])))


def _check_length(config: DataConfig, n_chars: int, skipped: Sequence[str]) -> None:
    if not n_chars:
        reasons = "\n  ".join(skipped[:5])
        raise UserError(f"no text in {', '.join(config.sources)}\n  {reasons}".rstrip())
    if n_chars < MIN_CHARS:
        raise UserError(
            f"{', '.join(config.sources)}: {n_chars:,} characters are too few to learn from and measure on; "
            f"at least {MIN_CHARS:,} are needed. Add more text"
        )
    n_val = n_chars - int(n_chars * (1 - config.val_fraction))
    if n_val < MIN_VAL_CHARS:
        raise UserError(
            f"a validation split of {n_val} characters measures nothing; at least {MIN_VAL_CHARS} are "
            f"needed. Raise --val-fraction ({config.val_fraction}) or add text"
        )


def _notes(config: DataConfig, documents: Sequence[Document], skipped: Sequence[str]) -> list[str]:
    notes = []
    names = defaultdict(list)
    for document in documents:
        if not config.encoding and document.encoding not in UNREMARKABLE:
            names[document.encoding].append(document.name)
    for encoding, found in names.items():
        notes.append(f"read as {encoding} (detected; --encoding says otherwise): {_some(found)}")
    if skipped:
        files = "1 file" if len(skipped) == 1 else f"{len(skipped):,} files"
        notes.append(f"{files} skipped: {_some(skipped, '; ')}")
    return notes


def _some(items: Sequence[str], separator: str = ", ") -> str:
    shown = separator.join(items[:3])
    return f"{shown}{separator}and {len(items) - 3:,} more" if len(items) > 3 else shown
