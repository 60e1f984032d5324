"""Labeled texts from the user's files: tables, or one folder per class.

Pairs of texts are read by pairs.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from glassgpt.config import DataConfig
from glassgpt.data.examples.columns import Columns, corpus_of, example_of, table_rows, tables_among
from glassgpt.data.examples.examples import MIN_EXAMPLES, Example, ExampleCorpus
from glassgpt.data.examples.table import is_table, open_text, read_rows, rows_of
from glassgpt.data.files import Report, Source, resolve_sources, suffix_of
from glassgpt.errors import UserError
from glassgpt.language import N_

TEXT_NAMES = (
    "text review sentence content body comment message tweet document post description utterance title"
).split()
LABEL_NAMES = (
    "label class category sentiment target rating stars star score polarity intent emotion topic genre"
).split()
NEVER_LABELS = frozenset({"", "id", "index", "number", "url", "date", "time", "timestamp", "file", "source"})
"""Names of columns that say where a text comes from."""
MAX_LABELS = 1_000
UNLABELED = "unsup"
"""Folder of aclImdb with unlabeled texts."""


def read_labeled(data: DataConfig) -> ExampleCorpus:
    """Read texts and their classes, and split them by text.

    Formats: tables with columns named as in TEXT_NAMES and LABEL_NAMES, or by `column` and `target_column`;
    folders of .txt files, each named like the class of its texts. Rows without a text or a label are skipped
    and counted. Raises UserError for the first invalid row unless `skip_invalid`, for columns that cannot be
    guessed, for fewer than MIN_EXAMPLES texts, and for fewer than 2 or more than MAX_LABELS classes.
    """
    found, report = resolve_sources(data.sources, data.follow_links), Report(data.skip_invalid)
    if any(map(is_table, found)) or not (texts := _texts_in_folders(found, report)):
        remedy = N_("a .csv, .tsv or .jsonl file, or a folder with one folder of .txt files per label")
        tables = tables_among(found, report, remedy)
        examples = [example for table in tables for example in _table_texts(table, data, report)]
    else:
        examples = [example for text in texts for example in _whole_file(text, data.encoding, report)]
    counts = Counter(example.target for example in examples)
    if len(examples) >= MIN_EXAMPLES and not 2 <= len(counts) <= MAX_LABELS:
        names = ", ".join(repr(label[:40]) for label in list(counts)[:3])
        raise UserError(
            "{sources}: {n_examples:,} texts have {n_counts:,} different labels ({names}…); the range is 2 "
            "to {max_labels:,}. Set `target_column` to the column of the labels, or `task` to masked to "
            "fill gaps.",
            sources=", ".join(data.sources),
            n_examples=len(examples),
            n_counts=len(counts),
            names=names,
            max_labels=MAX_LABELS,
        )
    for label, count in counts.most_common():
        report.note(f"{len(counts):,} labels", f"{label} {count:,} times")
    return corpus_of(examples, report, data.val_fraction)


def _table_texts(table: Source, data: DataConfig, report: Report) -> Iterator[Example]:
    rows = rows_of(table, data.encoding, report)
    yield from table_rows(rows, table.name, label_columns, data, report, on_empty=report.skip)


def has_labels(path: Path, encoding: str | None = None) -> bool:
    """Return True if a table has a text column and a label column with usual names."""
    return all(label_columns(_first_row(path, encoding)))


def _may_have_labels(path: Path, encoding: str | None) -> bool:
    """Return True if a table has a column that may hold labels, next to another one."""
    names = [name for name in _first_row(path, encoding) if _words(name)[-1] not in NEVER_LABELS]
    return len(names) > 1 and "messages" not in names


def _first_row(path: Path, encoding: str | None) -> dict[str, str]:
    return next(read_rows(path, encoding, Report(skip_invalid=True)), (0, {}))[1]


def _texts_in_folders(found: Sequence[Source], report: Report) -> list[Source]:
    """Return the .txt files of class folders, without those next to sub-folders (lists, readmes)."""
    texts = [source for source in found if suffix_of(source.name) == ".txt" and not source.explicit]
    folders = {Path(source.name).parent for source in texts}
    above = {higher for folder in folders for higher in folder.parents}
    kept = []
    for source in texts:
        folder = Path(source.name).parent
        if folder in above or folder.name == UNLABELED:
            report.note(N_("skipped (no label)"), source.name)
        else:
            kept.append(source)
    return kept


def _whole_file(text: Source, encoding: str | None, report: Report) -> Iterator[Example]:
    try:
        with open_text(text, encoding, report) as pieces:
            whole = "".join(pieces)
    except UserError as problem:
        report.reject(problem)
    else:
        yield from example_of(
            whole, Path(text.name).parent.name, ("text", "label"), f"{text.name}:1", report.reject
        )


def label_columns(row: dict[str, str]) -> Columns:
    """Find the text and label columns by their names: by the whole name, or else by its last word.

    >>> label_columns(dict.fromkeys(["", "Review Text", "Sentiment"])), label_columns({"text": ""})
    (('Review Text', 'Sentiment'), ('text', None))
    >>> label_columns(dict.fromkeys(["review", "review_score"]))
    ('review', 'review_score')
    """
    return _first(list(row), TEXT_NAMES), _first(list(row), LABEL_NAMES)


def _first(names: list[str], usual: Sequence[str]) -> str | None:
    whole = {name.strip().casefold(): name for name in reversed(names)}
    last_word = {_words(name)[-1]: name for name in reversed(names)}
    known = last_word | whole
    return next((known[name] for name in usual if name in known), None)


def _words(name: str) -> list[str]:
    """Split a column's name.

    >>> _words("Star_Rating"), _words("")
    (['star', 'rating'], [''])
    """
    return re.split(r"[\s_.-]+", name.strip().casefold())


def is_labeled(data: DataConfig) -> bool:
    """Return True if a column of labels is named, or all sources are tables that have or may have one.

    A table that may have one is not read as running text in silence: `read_labeled` asks for the column.
    """
    if data.target_column:
        return True
    found = resolve_sources(data.sources, data.follow_links)
    if not found or not all(map(is_table, found)):
        return False
    has_one = has_labels if any(not source.explicit for source in found) else _may_have_labels
    return all(has_one(Path(source), data.encoding) for source in data.sources)
