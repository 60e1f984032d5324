"""From rows with named columns to examples: which two columns are meant, and what becomes of their texts.

What the columns may be called is not known here: pairs.py and labeled.py know it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from glassgpt.data.examples.examples import MIN_EXAMPLES, Example, ExampleCorpus, split_by_group
from glassgpt.data.examples.table import TABLES, Report, rows_of
from glassgpt.data.files import Source, ending
from glassgpt.errors import UserError

Columns = tuple[str | None, str | None]
"""The column of what is given and the column of what to answer, as far as known."""


def is_table(source: Source) -> bool:
    return ending(source.name) in TABLES


def tables_among(found: Sequence[Source], report: Report, remedy: str) -> list[Source]:
    """The tables; what else was found in a folder is passed over, and refused where the user named it."""
    for source in found:
        if not is_table(source):
            if source.explicit:
                raise UserError(f"{source.name} is no table by its name; give {remedy}")
            report.say("passed over, being no table", source.name)
    tables = [source for source in found if is_table(source)]
    if not tables:
        raise UserError(f"no table among the {len(found)} files that were found; give {remedy}")
    return tables


def table_rows(
    table: Source, given: Columns, guess: Callable[[list[str]], Columns], encoding: str | None, report: Report
) -> Iterator[Example]:
    columns = None
    for number, row in rows_of(table, encoding, report):
        if columns is None:
            columns = _choose(list(row), table.name, given, guess)
            report.say(f"read from {columns[0]!r}, to be answered from {columns[1]!r}", table.name)
        source, target = (row.get(column, "") for column in columns)
        yield from example_of(source, target, columns, f"{table.name}:{number}", report)


def example_of(
    source: str, target: str, names: tuple[str, str], where: str, report: Report
) -> Iterator[Example]:
    """One example, or none where a side is empty: that is a bad row."""
    source, target = source.strip(), target.strip()
    if source and target:
        yield Example(source=source, target=target, where=where)
    else:
        empty = names[1] if source else names[0]
        report.bad(UserError(f"{where}: no text in {empty!r}; fill it in, or remove the row"))


def _choose(
    names: list[str], table: str, given: Columns, guess: Callable[[list[str]], Columns]
) -> tuple[str, str]:
    """What the user chose goes before what names suggest; of two columns, the other one is the other one."""
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
        f"has no column {unknown[0]}" if unknown else "does not say by its names which columns are meant"
    )
    listed = ", ".join(names[:20])
    raise UserError(f"{table} {problem}; choose two with --column and --target-column: {listed}")


def corpus_of(examples: list[Example], report: Report, val_fraction: float) -> ExampleCorpus:
    if len(examples) < MIN_EXAMPLES:
        notes = "".join(f"\n  {note}" for note in report.notes())
        raise UserError(
            f"{len(examples)} examples are too few to learn from and measure on; at least {MIN_EXAMPLES} are "
            f"needed. Add more{notes}"
        )
    train, val = split_by_group(examples, lambda e: " ".join(e.source.split()).casefold(), val_fraction)
    return ExampleCorpus(train, val, notes=report.notes())
