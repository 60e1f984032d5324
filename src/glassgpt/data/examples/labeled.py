"""Labeled texts from the user's files: tables, or one folder per class.

Pairs of texts are read by pairs.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from glassgpt.config import DataConfig
from glassgpt.data.examples.columns import Columns, corpus_of, example_of, is_table, table_rows, tables_among
from glassgpt.data.examples.examples import MIN_EXAMPLES, Example, ExampleCorpus
from glassgpt.data.examples.table import open_text, read_rows
from glassgpt.data.files import Report, Source, resolve_sources, suffix_of
from glassgpt.errors import UserError

TEXT_NAMES = ("text", "review", "sentence", "content")
LABEL_NAMES = ("label", "class", "category", "sentiment", "target")
MAX_LABELS = 1_000
UNLABELED = "unsup"
"""Folder of aclImdb with unlabeled texts."""


def read_labeled(data: DataConfig) -> ExampleCorpus:
    """Read texts and their classes, and split them by text.

    Formats: tables with a column named text, review, sentence or content and one named label, class,
    category, sentiment or target, or by `column` and `target_column`; folders of .txt files, each named like
    the class of its texts. Raises UserError for the first invalid row unless `skip_invalid`, for fewer than
    MIN_EXAMPLES texts, and for fewer than 2 or more than MAX_LABELS classes.
    """
    found, report = resolve_sources(data.sources), Report(data.skip_invalid)
    if any(map(is_table, found)) or not (texts := _texts_in_folders(found, report)):
        remedy = "a .csv, .tsv or .jsonl file, or a folder with one folder of .txt files per label"
        tables = tables_among(found, report, remedy)
        rows = (table_rows(table, _label_columns, data, report) for table in tables)
        examples = [example for table in rows for example in table]
    else:
        examples = [example for text in texts for example in _whole_file(text, data.encoding, report)]
    counts = Counter(example.target for example in examples)
    if len(examples) >= MIN_EXAMPLES and not 2 <= len(counts) <= MAX_LABELS:
        names = ", ".join(repr(label[:40]) for label in list(counts)[:3])
        raise UserError(
            f"{', '.join(data.sources)}: {len(examples):,} texts have {len(counts):,} different labels "
            f"({names}…); the range is 2 to {MAX_LABELS:,}. Set `target_column` to the column of the labels."
        )
    for label, count in counts.most_common():
        report.note(f"{len(counts):,} labels", f"{label} {count:,} times")
    return corpus_of(examples, report, data.val_fraction)


def has_labels(path: Path, encoding: str | None = None) -> bool:
    """Return True if a table has a text column and a label column with usual names."""
    _, row = next(read_rows(path, encoding, Report(skip_invalid=True)), (0, {}))
    return all(_label_columns(list(row)))


def _texts_in_folders(found: Sequence[Source], report: Report) -> list[Source]:
    """Return the .txt files of class folders, without those next to sub-folders (lists, readmes)."""
    texts = [source for source in found if suffix_of(source.name) == ".txt" and not source.explicit]
    folders = {Path(source.name).parent for source in texts}
    above = {higher for folder in folders for higher in folder.parents}
    kept = []
    for source in texts:
        folder = Path(source.name).parent
        if folder in above or folder.name == UNLABELED:
            report.note("skipped (no label)", source.name)
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
        yield from example_of(whole, Path(text.name).parent.name, ("text", "label"), f"{text.name}:1", report)


def _label_columns(names: list[str]) -> Columns:
    """Find the text and label columns by their names.

    >>> _label_columns(["", "Review", "Sentiment"]), _label_columns(["id", "text"])
    (('Review', 'Sentiment'), ('text', None))
    """
    known = {name.casefold(): name for name in names}
    text = next((known[name] for name in TEXT_NAMES if name in known), None)
    return text, next((known[name] for name in LABEL_NAMES if name in known), None)


def is_labeled(data: DataConfig) -> bool:
    """Return True if a column of labels is named, or all sources are tables with an obvious one."""
    if data.target_column:
        return True
    tables = all(map(is_table, resolve_sources(data.sources)))
    return tables and all(has_labels(Path(source), data.encoding) for source in data.sources)
