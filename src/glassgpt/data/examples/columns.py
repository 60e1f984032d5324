"""Columns: choose the source and target columns of a table, and make examples of its rows.

pairs.py and labeled.py know the usual names of the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from glassgpt.config import DataConfig
from glassgpt.data.examples.examples import MIN_EXAMPLES, Example, ExampleCorpus, split_by_group, too_few
from glassgpt.data.examples.table import TABLES, rows_of
from glassgpt.data.files import Report, Source, suffix_of
from glassgpt.errors import UserError

Columns = tuple[str | None, str | None]
"""Names of the source column and the target column; None if unknown."""


def is_table(source: Source) -> bool:
    """Return True if the suffix of a source is that of a table."""
    return suffix_of(source.name) in TABLES


def tables_among(found: Sequence[Source], report: Report, remedy: str) -> list[Source]:
    """Return the tables among the sources, and note the other files.

    Raises UserError, with the remedy, for another file named by the user, and if there is no table.
    """
    for source in found:
        if not is_table(source):
            if source.explicit:
                raise UserError(f"{source.name}: its suffix is not that of a table. Give {remedy}.")
            report.note("skipped (not a table)", source.name)
    tables = [source for source in found if is_table(source)]
    if not tables:
        raise UserError(f"no table among {len(found)} files. Give {remedy}.")
    return tables


def table_rows(
    table: Source, guess: Callable[[list[str]], Columns], data: DataConfig, report: Report
) -> Iterator[Example]:
    """Yield the examples of a table. guess: finds the columns by their names."""
    columns = None
    for number, row in rows_of(table, data.encoding, report):
        if columns is None:
            columns = _choose(list(row), table.name, (data.column, data.target_column), guess)
            report.note(f"source column {columns[0]!r}, target column {columns[1]!r}", table.name)
        source, target = (row.get(column, "") for column in columns)
        yield from example_of(source, target, columns, f"{table.name}:{number}", report)


def example_of(
    source: str, target: str, names: tuple[str, str], where: str, report: Report
) -> Iterator[Example]:
    """Yield one example, or reject the row if one side is empty."""
    source, target = source.strip(), target.strip()
    if source and target:
        yield Example(source=source, target=target, where=where)
    else:
        empty = names[1] if source else names[0]
        report.reject(UserError(f"{where}: no text in {empty!r}. Fill it in, or remove the row."))


def _choose(
    names: list[str], table: str, given: Columns, guess: Callable[[list[str]], Columns]
) -> tuple[str, str]:
    """Choose the columns. Explicit options override guesses from the names.

    In a table of two columns, naming one implies the other.
    """
    guessed = guess(names)
    chosen = [mine or likely for mine, likely in zip(given, guessed, strict=True)]
    for side, mine in enumerate(given):
        others = [name for name in names if name != mine]
        if mine and not given[1 - side] and len(others) == 1:
            chosen[1 - side] = others[0]
    source, target = chosen
    if source in names and target in names and source != target:
        return source, target
    unknown = [repr(name) for name in given if name and name not in names]
    problem = (
        f"no column {unknown[0]}" if unknown else "the names of the columns do not tell source and target"
    )
    listed = ", ".join(names[:20])
    raise UserError(f"{table}: {problem}. Set `column` and `target_column` to two of: {listed}.")


def corpus_of(examples: list[Example], report: Report, val_fraction: float) -> ExampleCorpus:
    """Split the examples by source. Raises UserError for fewer than MIN_EXAMPLES."""
    if len(examples) < MIN_EXAMPLES:
        raise too_few(len(examples), "examples", report.notes())
    train, val = split_by_group(examples, lambda e: " ".join(e.source.split()).casefold(), val_fraction)
    return ExampleCorpus(train, val, notes=report.notes())
