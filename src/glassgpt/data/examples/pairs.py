"""Pairs of texts from the user's files, such as sentences and their translations.

Accepted formats: tables (csv, tsv, jsonl), tsv without a header, and two parallel files. Texts with classes
are read by labeled.py, images by images.py. Limits of length depend on the model and are checked later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from glassgpt.config import DataConfig
from glassgpt.data.examples.columns import Columns, corpus_of, example_of, table_rows, tables_among
from glassgpt.data.examples.examples import Example, ExampleCorpus
from glassgpt.data.examples.prompts import PROMPT_NAMES, with_input
from glassgpt.data.examples.tabbed import first_fields, is_tabbed, tabbed_rows, text_columns
from glassgpt.data.examples.table import Row, is_table, open_text, rows_of
from glassgpt.data.files import Report, Source, find_column, lines_of, resolve_sources, suffix_of
from glassgpt.errors import UserError
from glassgpt.language import N_

PAIR_NAMES = (
    ("source", "target"),
    ("src", "tgt"),
    *PROMPT_NAMES,
    ("input", "output"),
)
LANGUAGES = frozenset(
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de "
    "dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id "
    "ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu "
    "lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu "
    "rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr "
    "ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu".split()
)
"""ISO 639-1."""
LANGUAGE_NAMES = frozenset(
    "arabic bulgarian catalan chinese croatian czech danish dutch english esperanto estonian finnish french "
    "german greek hebrew hindi hungarian icelandic indonesian irish italian japanese korean latin latvian "
    "lithuanian mandarin norwegian persian polish portuguese romanian russian serbian slovak slovenian "
    "spanish swahili swedish thai turkish ukrainian vietnamese welsh".split()
)


def read_pairs(data: DataConfig) -> ExampleCorpus:
    """Read pairs of source and target texts, and split them by source.

    Formats: tables with columns named as in PAIR_NAMES or by two languages (en, de), or by `column` and
    `target_column`; tsv and .txt files with tabs and no header, such as those of Anki and Tatoeba; two plain
    files with corresponding lines. The optional `input` of an instruction follows it. Raises UserError for
    the first invalid row unless `skip_invalid`, for parallel files of different lengths, and for fewer than
    MIN_EXAMPLES pairs.
    """
    found, report = resolve_sources(data.sources, data.follow_links), Report(data.skip_invalid)
    chosen = data.column or data.target_column
    if len(found) == 2 and not any(is_table(source) or not source.explicit for source in found):
        if chosen:
            raise UserError(
                "{name} and {other}: plain files have no columns. Leave `column` and `target_column` out.",
                name=found[0].name,
                other=found[1].name,
            )
        examples = list(_parallel(found[0], found[1], data.encoding, report))
        return corpus_of(examples, report, data.val_fraction)
    remedy = N_("a .tsv, .csv or .jsonl file, or two plain files with corresponding lines")
    lone = len(found) == 1 and suffix_of(found[0].name) == ".txt" and is_tabbed(found[0], data.encoding)
    tables = found if lone else tables_among(found, report, remedy)
    examples = [example for table in tables for example in _table_pairs(table, data, report)]
    return corpus_of(examples, report, data.val_fraction)


class PairRows(NamedTuple):
    """The rows of a table of pairs, and the function that finds the two columns by a row."""

    rows: Iterator[Row]
    guess: Callable[[dict[str, str]], Columns]


def pair_rows(table: Source, data: DataConfig, report: Report) -> PairRows | None:
    """Open the rows of a table or of lines with tabs; None for another file.

    data.column, data.target_column: in a file of tabs they tell a header from a first row.
    """
    suffix = suffix_of(table.name)
    if not (is_table(table) or (suffix == ".txt" and is_tabbed(table, data.encoding))):
        return None
    rows, guess = rows_of(table, data.encoding, report), pair_columns
    if suffix in (".tsv", ".txt"):
        header = first_fields(table, data.encoding)
        named = any(name and find_column(header, name) for name in (data.column, data.target_column))
        if not (named or all(pair_columns(dict.fromkeys(header, "")))):
            rows, guess = tabbed_rows(table, data.encoding, report), text_columns
        elif suffix == ".txt":
            rows = tabbed_rows(table, data.encoding, report, has_header=True)
    return PairRows(((number, with_input(row)) for number, row in rows), guess)


def _table_pairs(table: Source, data: DataConfig, report: Report) -> Iterator[Example]:
    if opened := pair_rows(table, data, report):
        yield from table_rows(opened.rows, table.name, opened.guess, data, report)


def _parallel(one: Source, other: Source, encoding: str | None, report: Report) -> Iterator[Example]:
    texts: list[list[str]] = []
    for source in (one, other):
        with open_text(source, encoding, report) as pieces:
            texts.append(list(lines_of(pieces, source.name)))
    n_one, n_other = map(len, texts)
    if n_one != n_other:
        raise UserError(
            "unpaired lines: {name} has {n_one:,} and {other} has {n_other:,}. Line i of one file must "
            "correspond to line i of the other.",
            name=one.name,
            n_one=n_one,
            other=other.name,
            n_other=n_other,
        )
    report.note(N_("lines of the first file are sources, of the second targets"), f"{one.name}, {other.name}")
    for number, (source, target) in enumerate(zip(*texts, strict=True), 1):
        if source.strip() or target.strip():
            yield from example_of(source, target, ("source", "target"), f"{one.name}:{number}", report.reject)


def pair_columns(row: dict[str, str]) -> Columns:
    """Find the source and target columns by their names.

    >>> pair_columns(dict.fromkeys(["id", "Source", "Target"])), pair_columns(dict.fromkeys(["a", "b"]))
    (('Source', 'Target'), (None, None))
    >>> pair_columns(dict.fromkeys(["id", "English", "pt-BR"]))
    ('English', 'pt-BR')
    """
    known = {name.strip().casefold(): name for name in row}
    for source, target in PAIR_NAMES:
        if source in known and target in known:
            return known[source], known[target]
    if len(known) > 2:
        known.pop("id", None)  # Indonesian only in a table of two
    languages = [name for folded, name in known.items() if is_language(folded)]
    return (languages[0], languages[1]) if len(languages) == 2 else (None, None)


def is_language(name: str) -> bool:
    """Return True for the lower-case name or code of a language: `german`, `de`, `pt-br`."""
    return name in LANGUAGE_NAMES or name.replace("_", "-").split("-")[0] in LANGUAGES
