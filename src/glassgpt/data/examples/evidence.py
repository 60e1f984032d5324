"""Evidence in the user's files for a task other than running text: labels, pairs, captions.

Each function returns a few words on what it found, or "" for nothing. They read the beginning of a file only.
A table counts only if the user named it: a folder may hold one by the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from glassgpt.config import DataConfig
from glassgpt.data.examples.examples import MIN_EXAMPLES
from glassgpt.data.examples.images import captions_table, image_columns
from glassgpt.data.examples.labeled import label_columns
from glassgpt.data.examples.pairs import is_language, pair_rows
from glassgpt.data.examples.table import is_table, read_rows, rows_of
from glassgpt.data.files import Report, Source, resolve_sources
from glassgpt.errors import UserError
from glassgpt.language import N_

SAMPLE = 1_000
"""Rows that are looked at."""
REPEATS = 4
"""Least number of rows for each label; other columns of short texts, such as names, repeat less."""


def evidence_of_labels(data: DataConfig) -> str:
    """Return the columns of texts and labels; "" without them, or if labels hardly repeat."""
    found = _named_files(data)
    if not found or not all(map(is_table, found)):
        return ""
    try:
        rows = list(islice(rows_of(found[0], data.encoding, Report(skip_invalid=True)), SAMPLE))
    except UserError:  # the reader of running text says so
        return ""
    text, label = label_columns(rows[0][1]) if rows else (None, None)
    if not (text and label and text != label):
        return ""
    labels = [row.get(label, "").strip() for _, row in rows]
    labels = list(filter(None, labels))
    if len(labels) < MIN_EXAMPLES or not 2 <= len(set(labels)) <= len(labels) / REPEATS:
        return ""
    return N_("columns {text!r} and {label!r}", text=text, label=label)


def evidence_of_pairs(data: DataConfig) -> str:
    """Return the columns or files of two texts that belong together, such as two languages."""
    found = _named_files(data)
    if len(found) == 2 and all(is_language(Path(source.name).suffix[1:].casefold()) for source in found):
        return ", ".join(Path(source.name).name for source in found)
    if len(found) != 1:
        return ""
    try:
        opened = pair_rows(found[0], data, Report(skip_invalid=True))
        rows = [row for _, row in islice(opened.rows, SAMPLE)] if opened else []
    except UserError:
        return ""
    source, target = opened.guess(rows[0]) if opened and rows else (None, None)
    if not (source and target):
        return ""
    texts = [[row.get(name, "") for row in rows] for name in (source, target)]
    if len(rows) < MIN_EXAMPLES or not all(map(_are_texts, texts)):
        return ""
    return N_("columns {source!r} and {target!r}", source=source, target=target)


def evidence_of_captions(data: DataConfig) -> str:
    """Return the table of captions in a folder of images."""
    folder = Path(data.sources[0]).expanduser()
    if len(data.sources) != 1 or not folder.is_dir():
        return ""
    try:
        table = captions_table(folder, data.follow_links)
        _, row = next(read_rows(table, data.encoding, Report(skip_invalid=True)))
        image_columns(row, data)
    except (UserError, StopIteration):
        return ""
    return str(table.name)


def _named_files(data: DataConfig) -> list[Source]:
    """Return the sources if each is a file that the user named: a pipe can be read only once."""
    if not all(Path(source).expanduser().is_file() for source in data.sources):
        return []
    found = resolve_sources(data.sources, data.follow_links)
    return found if all(source.explicit for source in found) else []


def _are_texts(texts: Sequence[str]) -> bool:
    """True if most fields have letters and most are different: neither numbers nor labels."""
    n_lettered = sum(any(map(str.isalpha, text)) for text in texts)
    return 2 * n_lettered > len(texts) and 2 * len(set(texts)) > len(texts)
