"""Texts with a class, from the user's files: tables, or a folder for each class.

Not here: texts and their translations, which are pairs.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from glassgpt.data.examples.columns import Columns, corpus_of, example_of, is_table, table_rows, tables_among
from glassgpt.data.examples.examples import MIN_EXAMPLES, Example, ExampleCorpus
from glassgpt.data.examples.table import Report, open_text, read_rows
from glassgpt.data.files import Source, ending, resolve
from glassgpt.errors import UserError

TEXT_NAMES = ("text", "review", "sentence", "content")
LABEL_NAMES = ("label", "class", "category", "sentiment", "target")
MAX_LABELS = 1_000
UNLABELED = "unsup"
"""The folder of aclImdb whose texts have no label."""


def read_labeled(
    sources: Sequence[str],
    *,
    encoding: str | None = None,
    column: str | None = None,
    target_column: str | None = None,
    skip_invalid: bool = False,
    val_fraction: float = 0.1,
) -> ExampleCorpus:
    """Texts and their classes, split by text.

    From tables with a column called text, review, sentence or content and one called label, class, category,
    sentiment or target, or as `column` and `target_column` say; or from folders of .txt files, each named
    like the class of the texts in it. Raises UserError for the first bad row unless `skip_invalid`, below
    MIN_EXAMPLES texts, and for fewer than 2 or more than MAX_LABELS classes.
    """
    found, report, given = resolve(sources), Report(skip_invalid), (column, target_column)
    if any(map(is_table, found)) or not (texts := _texts_in_folders(found, report)):
        remedy = "a .csv, .tsv or .jsonl, or a folder with a folder of .txt files for each label"
        tables = tables_among(found, report, remedy)
        rows = (table_rows(table, given, _label_columns, encoding, report) for table in tables)
        examples = [example for table in rows for example in table]
    else:
        examples = [example for text in texts for example in _whole_file(text, encoding, report)]
    counts = Counter(example.target for example in examples)
    if len(examples) >= MIN_EXAMPLES and not 2 <= len(counts) <= MAX_LABELS:
        names = ", ".join(repr(label[:40]) for label in list(counts)[:3])
        raise UserError(
            f"{', '.join(sources)}: {len(counts):,} different labels ({names}…) in {len(examples):,} texts; "
            f"from 2 to {MAX_LABELS:,} can be learned. Choose the column of the labels with --target-column"
        )
    for label, count in counts.most_common():
        report.say(f"{len(counts):,} labels", f"{label} {count:,} times")
    return corpus_of(examples, report, val_fraction)


def has_labels(path: Path, encoding: str | None = None) -> bool:
    """Whether a table has columns that are plainly a text and its label, by their names."""
    _, row = next(read_rows(path, encoding, Report(skip_invalid=True)), (0, {}))
    return all(_label_columns(list(row)))


def _texts_in_folders(found: Sequence[Source], report: Report) -> list[Source]:
    """The .txt files of a folder, without those that lie beside sub-folders: lists, licenses, readmes."""
    texts = [source for source in found if ending(source.name) == ".txt" and not source.explicit]
    folders = {Path(source.name).parent for source in texts}
    above = {higher for folder in folders for higher in folder.parents}
    kept = []
    for source in texts:
        folder = Path(source.name).parent
        if folder in above or folder.name == UNLABELED:
            report.say("passed over, having no label", source.name)
        else:
            kept.append(source)
    return kept


def _whole_file(text: Source, encoding: str | None, report: Report) -> Iterator[Example]:
    try:
        with open_text(text, encoding, report) as pieces:
            whole = "".join(pieces)
    except UserError as problem:
        report.bad(problem)
    else:
        yield from example_of(whole, Path(text.name).parent.name, ("text", "label"), f"{text.name}:1", report)


def _label_columns(names: list[str]) -> Columns:
    """
    >>> _label_columns(["", "Review", "Sentiment"]), _label_columns(["id", "text"])
    (('Review', 'Sentiment'), ('text', None))
    """
    known = {name.casefold(): name for name in names}
    text = next((known[name] for name in TEXT_NAMES if name in known), None)
    return text, next((known[name] for name in LABEL_NAMES if name in known), None)
