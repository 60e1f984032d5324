"""Pairs of texts from the user's files, such as sentences and their translations.

Accepted formats: tables (csv, tsv, jsonl), tsv without a header, and two parallel files. Texts with classes
are read by labeled.py, images by images.py. Limits of length depend on the model and are checked later.
"""

from __future__ import annotations

from collections.abc import Iterator

from glassgpt.config import DataConfig
from glassgpt.data.examples.columns import Columns, corpus_of, example_of, is_table, table_rows, tables_among
from glassgpt.data.examples.examples import Example, ExampleCorpus
from glassgpt.data.examples.table import open_text
from glassgpt.data.files import Report, Source, lines_of, resolve_sources, suffix_of
from glassgpt.errors import UserError

PAIR_NAMES = (("source", "target"), ("src", "tgt"), ("input", "output"))
LANGUAGES = frozenset(
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de "
    "dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id "
    "ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu "
    "lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu "
    "rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr "
    "ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu".split()
)
"""ISO 639-1."""


def read_pairs(data: DataConfig) -> ExampleCorpus:
    """Read pairs of source and target texts, and split them by source.

    Formats: tables with columns named source and target, src and tgt, input and output, by two languages (en,
    de), or by `column` and `target_column`; tsv files without a header; two plain files with corresponding
    lines. Raises UserError for the first invalid row unless `skip_invalid`, for parallel files of different
    lengths, and for fewer than MIN_EXAMPLES pairs.
    """
    found, report = resolve_sources(data.sources), Report(data.skip_invalid)
    chosen = data.column or data.target_column
    if len(found) == 2 and not any(is_table(source) or not source.explicit for source in found):
        if chosen:
            raise UserError(
                f"{found[0].name} and {found[1].name}: plain files have no columns. Leave `column` and "
                "`target_column` out."
            )
        examples = list(_parallel(found[0], found[1], data.encoding, report))
        return corpus_of(examples, report, data.val_fraction)
    remedy = "a .tsv, .csv or .jsonl file, or two plain files with corresponding lines"
    examples = []
    for source in tables_among(found, report, remedy):
        if suffix_of(source.name) == ".tsv" and not (chosen or _has_pair_header(source, data.encoding)):
            examples += _tabbed_lines(source, data.encoding, report)
        else:
            examples += table_rows(source, _pair_columns, data, report)
    return corpus_of(examples, report, data.val_fraction)


def _parallel(one: Source, other: Source, encoding: str | None, report: Report) -> Iterator[Example]:
    texts: list[list[str]] = []
    for source in (one, other):
        with open_text(source, encoding, report) as pieces:
            texts.append(list(lines_of(pieces, source.name)))
    n_one, n_other = map(len, texts)
    if n_one != n_other:
        raise UserError(
            f"unpaired lines: {one.name} has {n_one:,} and {other.name} has {n_other:,}. Line i of one file "
            "must correspond to line i of the other."
        )
    report.note("lines of the first file are sources, of the second targets", f"{one.name}, {other.name}")
    for number, (source, target) in enumerate(zip(*texts, strict=True), 1):
        if source.strip() or target.strip():
            yield from example_of(source, target, ("source", "target"), f"{one.name}:{number}", report)


def _has_pair_header(source: Source, encoding: str | None) -> bool:
    with open_text(source, encoding, Report()) as pieces:
        first = next(lines_of(pieces, source.name), "")
    return all(_pair_columns([name.strip(' "\n') for name in first.split("\t")]))


def _tabbed_lines(source: Source, encoding: str | None, report: Report) -> Iterator[Example]:
    """Yield examples from lines of source, tab, target. Quotes are plain text, as in Tatoeba's files."""
    report.note("no header: source, tab, target", source.name)
    with open_text(source, encoding, report) as pieces:
        for number, line in enumerate(lines_of(pieces, source.name), 1):
            where, fields = f"{source.name}:{number}", line.split("\t")
            if len(fields) == 2:
                yield from example_of(fields[0], fields[1], ("source", "target"), where, report)
            elif line.strip():
                problem = f"{len(fields) - 1} tabs, expected one between source and target"
                remedy = "Keep two columns, or name the columns in the first line (source, target)"
                report.reject(UserError(f"{where}: {problem}. {remedy}."))


def _pair_columns(names: list[str]) -> Columns:
    """Find the source and target columns by their names.

    >>> _pair_columns(["id", "Source", "Target"]), _pair_columns(["en", "pt-BR"]), _pair_columns(["a", "b"])
    (('Source', 'Target'), ('en', 'pt-BR'), (None, None))
    """
    known = {name.casefold(): name for name in names}
    for source, target in PAIR_NAMES:
        if source in known and target in known:
            return known[source], known[target]
    languages = [name.replace("_", "-").split("-")[0] in LANGUAGES for name in known]
    return (names[0], names[1]) if len(names) == 2 and languages == [True, True] else (None, None)
