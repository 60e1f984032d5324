"""Columns: choose the source and target columns of a table, and make examples of its rows.

pairs.py and labeled.py know the usual names of the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from glassgpt.config import DataConfig
from glassgpt.data.examples.examples import MIN_EXAMPLES, Example, ExampleCorpus, split_by_group, too_few
from glassgpt.data.examples.table import Row, is_table
from glassgpt.data.files import Report, Source, find_column
from glassgpt.errors import UserError
from glassgpt.language import N_

Columns = tuple[str | None, str | None]
"""Names of the source column and the target column; None if unknown."""


def tables_among(found: Sequence[Source], report: Report, remedy: str) -> list[Source]:
    """Return the tables among the sources, and note the other files.

    Raises UserError, with the remedy, for another file named by the user, and if there is no table.
    """
    for source in found:
        if not is_table(source):
            if source.explicit:
                raise UserError(
                    "{name}: its suffix is not that of a table. Give {remedy}.",
                    name=source.name,
                    remedy=remedy,
                )
            report.note(N_("skipped (not a table)"), source.name)
    tables = [source for source in found if is_table(source)]
    if not tables:
        raise UserError("no table among {n_found} files. Give {remedy}.", n_found=len(found), remedy=remedy)
    return tables


def table_rows(
    rows: Iterable[Row],
    name: str,
    guess: Callable[[dict[str, str]], Columns],
    data: DataConfig,
    report: Report,
    on_empty: Callable[[UserError], None] | None = None,
) -> Iterator[Example]:
    """Yield the examples of a table.

    guess: finds the columns by the first row. on_empty: gets rows with an empty side, by default
    `report.reject`.
    """
    columns = None
    for number, row in rows:
        if columns is None:
            columns = _choose(row, name, (data.column, data.target_column), guess)
            report.note(
                N_(
                    "source column {source!r}, target column {target!r}", source=columns[0], target=columns[1]
                ),
                name,
            )
        source, target = (row.get(column, "") for column in columns)
        yield from example_of(source, target, columns, f"{name}:{number}", on_empty or report.reject)


def example_of(
    source: str, target: str, names: tuple[str, str], where: str, on_empty: Callable[[UserError], None]
) -> Iterator[Example]:
    """Yield one example, or pass a problem to `on_empty` if one side is empty."""
    source, target = source.strip(), target.strip()
    if source and target:
        yield Example(source=source, target=target, where=where)
    else:
        empty = names[1] if source else names[0]
        on_empty(
            UserError(
                "{where}: no text in {empty!r}. Fill it in, or remove the row.", where=where, empty=empty
            )
        )


def _choose(
    row: dict[str, str], table: str, given: Columns, guess: Callable[[dict[str, str]], Columns]
) -> tuple[str, str]:
    """Choose the columns. Explicit options override guesses from the names.

    In a table of two columns, naming one implies the other.
    """
    names = list(row)
    given = (_known(names, given[0]), _known(names, given[1]))
    guessed = guess(row)
    chosen = [mine or likely for mine, likely in zip(given, guessed, strict=True)]
    for side, mine in enumerate(given):
        others = [name for name in names if name != mine]
        if mine and not given[1 - side] and len(others) == 1:
            chosen[1 - side] = others[0]
    source, target = chosen
    if source in names and target in names and source != target:
        return source, target
    raise UserError("{table}: {problem}.", table=table, problem=_problem(names, given, guessed))


def _known(names: list[str], wanted: str | None) -> str | None:
    return wanted and (find_column(names, wanted) or wanted)


def _problem(names: list[str], given: Columns, guessed: Columns) -> str:
    """Return problem and remedy where the columns cannot be chosen."""
    listed = ", ".join(names[:20])
    if len(names) < 2:
        return N_(
            "its rows have {n_names} fields of text, not two ({listed}). Give a table with two",
            n_names=len(names),
            listed=listed,
        )
    if unknown := [name for name in given if name and name not in names]:
        return N_(
            "no column {column!r}. Set `column` and `target_column` to two of: {listed}",
            column=unknown[0],
            listed=listed,
        )
    if guessed[0] and not any(given):
        others = ", ".join(name for name in names[:20] if name != guessed[0])
        return N_(
            "no column is clearly the target of {column!r}. Set `target_column` to one of: "
            "{others}; or `task` to masked, to fill gaps in the text",
            column=guessed[0],
            others=others,
        )
    return (
        N_(
            "the names of the columns do not tell source and target. Set `column` and "
            "`target_column` to two of: "
        )
        + listed
    )


def corpus_of(examples: list[Example], report: Report, val_fraction: float) -> ExampleCorpus:
    """Split the examples by source. Raises UserError for fewer than MIN_EXAMPLES."""
    if len(examples) < MIN_EXAMPLES:
        raise too_few(len(examples), "examples", report.notes())
    train, val = split_by_group(examples, lambda e: " ".join(e.source.split()).casefold(), val_fraction)
    return ExampleCorpus(train, val, notes=report.notes())
