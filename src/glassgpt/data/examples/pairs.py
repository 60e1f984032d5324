"""Pairs of texts from the user's files, such as sentences and their translations.

Accepted are tables (csv, tsv, jsonl), a tsv without a header, and two parallel files. Not here: texts with a
class (labeled.py), images (images.py), and how long a text may be, which depends on the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glassgpt.data.examples.columns import Columns, corpus_of, example_of, is_table, table_rows, tables_among
from glassgpt.data.examples.examples import Example, ExampleCorpus
from glassgpt.data.examples.table import Report, open_text
from glassgpt.data.files import Source, ending, lines_of, resolve
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


def read_pairs(
    sources: Sequence[str],
    *,
    encoding: str | None = None,
    column: str | None = None,
    target_column: str | None = None,
    skip_invalid: bool = False,
    val_fraction: float = 0.1,
) -> ExampleCorpus:
    """Texts and what to make of them, such as their translations, split by source.

    From tables whose columns are called source and target, src and tgt, input and output, by two languages
    (en, de), or as `column` and `target_column` say; from tsv files without a header; or from two plain
    files, where a line of one belongs to the same line of the other. Raises UserError for the first bad row
    unless `skip_invalid`, for files of different lengths, and below MIN_EXAMPLES pairs.
    """
    found, report, given = resolve(sources), Report(skip_invalid), (column, target_column)
    if len(found) == 2 and not any(is_table(source) or not source.explicit for source in found):
        if any(given):
            raise UserError(f"{found[0].name} and {found[1].name} have no columns; leave --column out")
        return corpus_of(list(_parallel(found[0], found[1], encoding, report)), report, val_fraction)
    remedy = (
        "a .tsv, .csv or .jsonl, or two plain files of which a line of one belongs to a line of the other"
    )
    examples: list[Example] = []
    for source in tables_among(found, report, remedy):
        if ending(source.name) == ".tsv" and not (any(given) or _has_pair_header(source, encoding)):
            examples += _tabbed_lines(source, encoding, report)
        else:
            examples += table_rows(source, given, _pair_columns, encoding, report)
    return corpus_of(examples, report, val_fraction)


def _parallel(one: Source, other: Source, encoding: str | None, report: Report) -> Iterator[Example]:
    texts: list[list[str]] = []
    for source in (one, other):
        with open_text(source, encoding, report) as pieces:
            texts.append(list(lines_of(pieces, source.name)))
    n_one, n_other = map(len, texts)
    if n_one != n_other:
        raise UserError(
            f"unpaired lines: {one.name} has {n_one:,} and {other.name} has {n_other:,}; line i of the one "
            "must belong to line i of the other"
        )
    report.say(
        "a line of the first file is the source, of the second the target", f"{one.name}, {other.name}"
    )
    for number, (source, target) in enumerate(zip(*texts, strict=True), 1):
        if source.strip() or target.strip():
            yield from example_of(source, target, ("source", "target"), f"{one.name}:{number}", report)


def _has_pair_header(source: Source, encoding: str | None) -> bool:
    with open_text(source, encoding, Report()) as pieces:
        first = next(lines_of(pieces, source.name), "")
    return all(_pair_columns([name.strip(' "\n') for name in first.split("\t")]))


def _tabbed_lines(source: Source, encoding: str | None, report: Report) -> Iterator[Example]:
    """Lines of a source, a tab and a target; quotes mean nothing, as in the files of Tatoeba."""
    report.say("no header: the source, a tab, the target", source.name)
    with open_text(source, encoding, report) as pieces:
        for number, line in enumerate(lines_of(pieces, source.name), 1):
            where, fields = f"{source.name}:{number}", line.split("\t")
            if len(fields) == 2:
                yield from example_of(fields[0], fields[1], ("source", "target"), where, report)
            elif line.strip():
                report.bad(
                    UserError(
                        f"{where}: {len(fields) - 1} tabs, not the one between source and target; keep two "
                        "columns, or name them in the first line (source, target)"
                    )
                )


def _pair_columns(names: list[str]) -> Columns:
    """The columns whose names say that they are a pair.

    >>> _pair_columns(["id", "Source", "Target"]), _pair_columns(["en", "pt-BR"]), _pair_columns(["a", "b"])
    (('Source', 'Target'), ('en', 'pt-BR'), (None, None))
    """
    known = {name.casefold(): name for name in names}
    for source, target in PAIR_NAMES:
        if source in known and target in known:
            return known[source], known[target]
    languages = [name.replace("_", "-").split("-")[0] in LANGUAGES for name in known]
    return (names[0], names[1]) if len(names) == 2 and languages == [True, True] else (None, None)
