"""Pairs and labeled texts: every layout gives the same examples; what is wrong is named by file and line."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from glassgpt.config import DataConfig
from glassgpt.data.examples import labeled, pairs
from glassgpt.data.examples.examples import Example, ExampleCorpus
from glassgpt.data.examples.labeled import has_labels
from glassgpt.data.examples.table import read_rows
from glassgpt.data.files import Report
from glassgpt.errors import UserError

PAIRS = [(f"the house number {i}", f"das Haus Nummer {i}, „schön“") for i in range(40)]
TEXTS = [(f"a film of {i} minutes", "good" if i % 3 else "bad") for i in range(40)]


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def table(header: str, rows: list[tuple[str, str]], delimiter: str = "\t") -> str:
    lines = [header, *(f"{one}{delimiter}{other}" for one, other in rows)]
    return "\n".join(filter(None, lines)) + "\n"


def everything(corpus: ExampleCorpus) -> set[tuple[str, str]]:
    return {(example.source, example.target) for example in (*corpus.train, *corpus.val)}


def read_pairs(sources: list[str], **given: object) -> ExampleCorpus:
    return pairs.read_pairs(DataConfig.model_validate({"sources": tuple(sources), **given}))


def read_labeled(sources: list[str], **given: object) -> ExampleCorpus:
    return labeled.read_labeled(DataConfig.model_validate({"sources": tuple(sources), **given}))


def rows_in(
    tmp_path: Path, name: str, text: str, report: Report | None = None
) -> list[tuple[int, dict[str, str]]]:
    return list(read_rows(Path(write(tmp_path / name, text)), None, report))


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_rows_carry_the_number_of_their_first_line(tmp_path: Path, ending: str) -> None:
    text = 'id, text \r\n1,"two\r\nlines, ""quoted"""\r\n\r\n2,plain\r\n'
    expected = [(2, {"id": "1", "text": 'two\nlines, "quoted"'}), (5, {"id": "2", "text": "plain"})]
    assert rows_in(tmp_path, f"a{ending}", text) == expected


def test_tsv_is_split_at_tabs_whatever_else_is_in_it(tmp_path: Path) -> None:
    assert rows_in(tmp_path, "a.tsv", "text\na, b; c, d\n") == [(2, {"text": "a, b; c, d"})]
    assert rows_in(tmp_path, "a.csv", "a;b\n1,5;2\n") == [(2, {"a": "1,5", "b": "2"})]


def test_fields_of_jsonl_become_text_or_are_left_out(tmp_path: Path) -> None:
    row = {"text": "x \ud83d", "n": 3, "yes": True, "none": None, "meta": {"a": 1}, "tags": ["b"]}
    rows = rows_in(tmp_path, "a.jsonl", "\n" + json.dumps(row))
    assert rows == [(2, {"text": "x \ufffd", "n": "3", "yes": "true", "none": ""})]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "a,b\n1,2\n1,2,3\n", r"a\.csv:3: 3 fields, but the header has 2\. Quote fields"),
        ("a.csv", "a,b\n1,2\n\n1\n", r"a\.csv:4: 1 fields, but the header has 2"),
        ("a.csv", 'a,b\n1,2\n"1,2\n3,4\n', r"a\.csv:3: this is not csv .*Check the quotes"),
        ("a.csv", 'a,b\n"1"x,2\n', r"a\.csv:2: this is not csv"),
        ("a.csv", 'a,"b\n1,2\n', r"a\.csv:1: this is not csv"),
        ("a.csv", "a,a\n1,2\n", r"a\.csv:1: several columns have the name 'a'"),
        ("a.csv", "", r"a\.csv: it is empty\. Name the columns in its first line"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', r"a\.jsonl:2: this is not JSON"),
        ("a.jsonl", '{"a": 1}\n[1]\n', r"a\.jsonl:2: expected an object, got list"),
        ("a.jsonl", '{"a": ' + "1" * 5000 + "}", r"a\.jsonl:1: this is not JSON"),
        ("a.txt", "a,b\n", r"a\.txt: its suffix is not that of a table"),
        ("a.csv", "a,b\n\0\0\0", r"a\.csv: this is a binary file"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        rows_in(tmp_path, name, text)


def test_a_damaged_or_missing_file_is_named(tmp_path: Path) -> None:
    packed = Path(write(tmp_path / "a.csv.gz", table("a,b", PAIRS, ",")))
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"a\.csv\.gz: the file is damaged"):
        list(read_rows(packed))
    packed.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(UserError, match=r"a\.csv\.gz: the file is damaged"):
        list(read_rows(packed))
    with pytest.raises(UserError, match=r"gone\.csv.*: no such file"):
        list(read_rows(tmp_path / "gone.csv"))


def test_an_open_quote_costs_one_row_and_no_more(tmp_path: Path) -> None:
    report = Report(skip_invalid=True)
    text = 'a,b\n1,2\n"3,4\n5,6\n"7",8\n9\n"10,11\n'
    assert [row["a"] for _, row in rows_in(tmp_path, "a.csv", text, report)] == ["1", "5", "7"]
    assert report.n_skipped == 3
    [note] = report.notes()
    assert note.startswith("3 rows skipped: ") and all(f"a.csv:{line}: " in note for line in (3, 6, 7))


def test_many_open_quotes_take_no_deep_stack(tmp_path: Path) -> None:
    report = Report(skip_invalid=True)
    assert not rows_in(tmp_path, "a.csv", "a,b\n" + '1,"x\n' * 50_000, report)
    assert report.n_skipped == 50_000


LAYOUTS: dict[str, Callable[[], str]] = {
    "a.tsv": lambda: table("", PAIRS),
    "b.tsv": lambda: table("source\ttarget", PAIRS),
    "c.tsv.gz": lambda: table("en\tde", PAIRS),
    "d.csv": lambda: "id,TGT,Src\n" + "".join(f'{i},"{b}",{a}\n' for i, (a, b) in enumerate(PAIRS)),
    "e.csv": lambda: table("en-GB;de_AT", PAIRS, ";"),
    "f.jsonl": lambda: "".join(json.dumps({"n": 1, "input": a, "output": b}) + "\n" for a, b in PAIRS),
    "g.tsv": lambda: "\ufeff" + table('"en"\t"de"', PAIRS),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_pairs(tmp_path: Path, name: str) -> None:
    corpus = read_pairs([write(tmp_path / name, LAYOUTS[name]())])
    assert everything(corpus) == set(PAIRS)
    assert len(corpus.val) == 4 and len(corpus.train) == 36
    line = next(e for e in corpus.train if e.source == PAIRS[7][0]).where
    assert line == f"{tmp_path / name}:{8 if name == 'a.tsv' or name == 'f.jsonl' else 9}"
    assert len(corpus.notes) == 1 + (name == "a.tsv") and all(name in note for note in corpus.notes)


def test_parallel_files_are_paired_by_line(tmp_path: Path) -> None:
    english = write(tmp_path / "train.en.gz", "\n".join(a for a, _ in PAIRS))
    german = write(tmp_path / "train.de", "\n".join(b for _, b in PAIRS) + "\n")
    corpus = read_pairs([english, german])
    assert everything(corpus) == set(PAIRS)
    assert next(e for e in corpus.train if e.source == PAIRS[7][0]).where == f"{english}:8"
    assert everything(read_pairs([german, english])) == {(b, a) for a, b in PAIRS}


def test_files_of_different_lengths_are_refused_even_where_bad_rows_are_not(tmp_path: Path) -> None:
    english = write(tmp_path / "train.en", "\n".join(a for a, _ in PAIRS) + "\n")
    german = write(tmp_path / "train.de", "\n".join(b for _, b in PAIRS[:-2]) + "\n")
    with pytest.raises(UserError, match=r"unpaired lines: .*train\.en has 40 and .*train\.de has 38\."):
        read_pairs([english, german], skip_invalid=True)


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    english = write(tmp_path / "a.en", "\n".join(f"{a}\u2028b\x0cc" for a, _ in PAIRS) + "\n")
    german = write(tmp_path / "a.de", "\n".join(b for _, b in PAIRS) + "\n")
    assert len(everything(read_pairs([english, german]))) == 40


BAD_TSV = (
    table("", [*PAIRS[:30], ("no tab here", "x")]).replace("here\tx", "here") + "a\tb\tc\n \t\nx\t\n\t y\n"
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("one\ttwo\nno tab\n", r"p\.tsv:2: 0 tabs, expected one between source and target\..*`skip_invalid`"),
        ("one\ttwo\n" * 3 + "one\ttwo\tthree\n", r"p\.tsv:4: 2 tabs"),
        ("one\ttwo\tthree\n", r"p\.tsv: the names .* to two of: 1, 2, 3"),
        ("one\t \n", r"p\.tsv:1: no text in 'target'"),
        (" \tone\n", r"p\.tsv:1: no text in 'source'"),
        ("en\tde\none\t\n", r"p\.tsv:2: no text in 'de'"),
        ("en\tde\none\n", r"p\.tsv:2: 1 fields"),
    ],
)
def test_a_bad_pair_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_pairs([write(tmp_path / "p.tsv", text)])


def test_bad_pairs_can_be_skipped_and_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "p.tsv", BAD_TSV)
    corpus = read_pairs([path], skip_invalid=True)
    assert everything(corpus) == set(PAIRS[:30])
    assert corpus.notes[-1] == (
        f"5 rows skipped: {path}:31: 0 tabs, expected one between source and target; "
        f"{path}:32: 2 tabs, expected one between source and target; "
        f"{path}:33: no text in 'source'; and 2 more"
    )


def test_columns_that_are_given_win(tmp_path: Path) -> None:
    rows = "id,source,target,formal\n" + "".join(f"{i},{a},x,Sie {i}\n" for i, (a, _) in enumerate(PAIRS))
    path = write(tmp_path / "p.csv", rows)
    corpus = read_pairs([path], target_column="formal")
    assert everything(corpus) == {(a, f"Sie {i}") for i, (a, _) in enumerate(PAIRS)}
    assert corpus.notes == (f"source column 'source', target column 'formal': {path}",)
    with pytest.raises(UserError, match=r"no column 'sauce'\. Set .* to two of: id, source, target, formal"):
        read_pairs([path], column="sauce")
    with pytest.raises(UserError, match="the names of the columns do not tell"):
        read_pairs([path], column="target")
    two = write(tmp_path / "two.tsv", table("en\tde", PAIRS))
    assert everything(read_pairs([two], column="de")) == {(b, a) for a, b in PAIRS}


@pytest.mark.parametrize("first", ["dog\tHund", "one\ttwo", "no\tnein", "en\ten", "id\tsource"])
def test_a_first_line_that_is_no_header_is_a_pair(tmp_path: Path, first: str) -> None:
    corpus = read_pairs([write(tmp_path / "p.tsv", table(first, PAIRS))])
    assert len(everything(corpus)) == 41


def test_a_source_never_lies_on_both_sides(tmp_path: Path) -> None:
    rows = [(f" The  house {i % 25}" if i % 2 else f"the House {i % 25} ", f"Haus {i}") for i in range(100)]
    corpus = read_pairs([write(tmp_path / "p.tsv", table("", rows))], val_fraction=0.2)
    train, val = ({" ".join(e.source.lower().split()) for e in side} for side in (corpus.train, corpus.val))
    assert (len(train), len(val)) == (20, 5) and not train & val
    assert not any(e.source != e.source.strip() for e in corpus.train)


def test_an_old_encoding_is_read_and_said(tmp_path: Path) -> None:
    rows = [(a, b.replace("„", "").replace("“", "")) for a, b in PAIRS]
    path = write(tmp_path / "p.tsv", table("", rows), "cp1252")
    corpus = read_pairs([path])
    assert everything(corpus) == set(rows)
    assert any("read as" in note and "`encoding`" in note and path in note for note in corpus.notes)
    assert not any("`encoding`" in note for note in read_pairs([path], encoding="cp1252").notes)


def test_a_folder_of_tables_is_read_and_the_rest_passed_over(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / f"{number}.tsv", table("", PAIRS[number::2]))
    write(tmp_path / "README.md", "what this is")
    corpus = read_pairs([str(tmp_path)])
    assert everything(corpus) == set(PAIRS)
    assert f"skipped (not a table): {tmp_path / 'README.md'}" in corpus.notes


def test_what_holds_no_pairs_is_refused(tmp_path: Path) -> None:
    few = write(tmp_path / "few.tsv", table("", PAIRS[:19]) + "bad\n")
    with pytest.raises(
        UserError, match=r"19 examples are too few.*minimum is 20\.(.|\n)*1 row skipped: .*few\.tsv:20"
    ):
        read_pairs([few], skip_invalid=True)
    plain = write(tmp_path / "plain.txt", "some text\n")
    with pytest.raises(UserError, match=r"plain\.txt: its suffix is not that of a table\. Give a \.tsv"):
        read_pairs([plain])
    with pytest.raises(UserError, match=r"plain files have no columns\. Leave `column`"):
        read_pairs([plain, write(tmp_path / "other.txt", "etwas Text\n")], column="en")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no table among 0 files"):
        read_pairs([str(tmp_path / "empty")])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", table("Review,Sentiment", TEXTS, ",")),
        ("a.tsv", table("text\tlabel", TEXTS)),
        ("a.jsonl", "".join(json.dumps({"content": a, "x": [1], "class": b}) + "\n" for a, b in TEXTS)),
    ],
)
def test_texts_and_labels_are_found_by_their_columns(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path / name, text)
    assert has_labels(Path(path))
    corpus = read_labeled([path])
    assert everything(corpus) == set(TEXTS)
    assert "2 labels: good 26 times; bad 14 times" in corpus.notes


def test_numbers_and_truths_are_labels(tmp_path: Path) -> None:
    rows = [{"text": f"film {i}", "label": (0, 1, True)[i % 3]} for i in range(30)]
    corpus = read_labeled([write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))])
    assert {example.target for example in corpus.train} == {"0", "1", "true"}


def test_a_table_without_labels_has_none(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.csv", "id,text\n1,x\n"))
    assert not has_labels(path)
    with pytest.raises(
        UserError,
        match=r"a\.csv: no column is clearly the target of 'text'\. Set `target_column` to one of: id",
    ):
        read_labeled([str(path)])


@pytest.mark.parametrize(("n_labels", "n_texts"), [(1, 30), (1001, 1001)])
def test_the_number_of_labels_has_limits(tmp_path: Path, n_labels: int, n_texts: int) -> None:
    rows = [(f"text {i}", f"label {i % n_labels}") for i in range(n_texts)]
    with pytest.raises(UserError, match=rf"{n_labels:,} different labels.*2 to 1,000.*`target_column`"):
        read_labeled([write(tmp_path / "a.csv", table("text,label", rows, ","))])


def labeled_folder(folder: Path) -> Path:
    """Laid out as aclImdb/train is."""
    for number, (text, label) in enumerate(TEXTS):
        (folder / label).mkdir(parents=True, exist_ok=True)
        write(folder / label / f"{number}_7.txt", text + "\n\nA second paragraph.\n")
    (folder / "unsup").mkdir()
    write(folder / "unsup/0_0.txt", "nobody judged this")
    write(folder / "urls_pos.txt", "http://example.org/")
    write(folder / "labeledBow.feat", "9 0:9")
    return folder


def test_folders_name_the_labels_of_the_texts_in_them(tmp_path: Path) -> None:
    folder = labeled_folder(tmp_path / "train")
    corpus = read_labeled([str(folder)])
    assert everything(corpus) == {(f"{text}\n\nA second paragraph.", label) for text, label in TEXTS}
    assert all(e.where == f"{folder / e.target / Path(e.where).name}" for e in corpus.train)
    passed_over = next(note for note in corpus.notes if note.startswith("skipped (no label)"))
    assert "urls_pos.txt" in passed_over and "unsup" in passed_over
    assert everything(read_labeled([str(folder / "good"), str(folder / "bad")])) == everything(corpus)


def test_an_empty_or_binary_text_in_a_folder_is_a_bad_row(tmp_path: Path) -> None:
    folder = labeled_folder(tmp_path / "train")
    write(folder / "bad/x.txt", " \n")
    with pytest.raises(UserError, match=r"bad/x\.txt:1: no text"):
        read_labeled([str(folder)])
    (folder / "bad/y.txt").write_bytes(b"\x89PNG\0\0\0\x0d")
    corpus = read_labeled([str(folder)], skip_invalid=True)
    assert len(everything(corpus)) == 40
    assert corpus.notes[-1].startswith("2 rows skipped: ") and "binary" in corpus.notes[-1]


def test_the_same_text_never_lies_on_both_sides(tmp_path: Path) -> None:
    rows = [(f"film {i % 30}", "good" if i % 2 else "bad") for i in range(90)]
    corpus = read_labeled([write(tmp_path / "a.csv", table("text,label", rows, ","))])
    assert not {e.source for e in corpus.train} & {e.source for e in corpus.val}
    assert isinstance(corpus.val[0], Example)
