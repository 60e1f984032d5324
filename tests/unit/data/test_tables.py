"""Tables as people have them: nothing is lost in silence, and columns are found."""

import json
from pathlib import Path

import pytest

from glassgpt.config import DataConfig, RunConfig
from glassgpt.data import ExampleCorpus, read_corpus, read_labeled, read_pairs
from glassgpt.data.files import csv_rows, json_rows
from glassgpt.errors import UserError
from glassgpt.tasks import detect_task

SENTENCES = [f"the baker sells lamp number {i} at noon." for i in range(200)]


def write(path: Path, text: str) -> DataConfig:
    path.write_text(text, "utf-8")
    return DataConfig(sources=(str(path),))


def rows_of(path: Path, text: str, **options: object) -> list[str]:
    """Return the rows of running text, sorted."""
    corpus = read_corpus(write(path, text).model_copy(update=options))
    return sorted(filter(None, f"{corpus.train.read()}\n\n{corpus.val.read()}".split("\n\n")))


def pairs_in(corpus: ExampleCorpus) -> set[tuple[str, str]]:
    return {(example.source, example.target) for example in (*corpus.train, *corpus.val)}


def test_open_quotes_in_a_tsv_cost_no_row(tmp_path: Path) -> None:
    texts = [f'"{text}' if i in (50, 120) else text for i, text in enumerate(SENTENCES)]
    lines = "".join(f"{i}\t{text}\n" for i, text in enumerate(texts))
    assert [row[1] for _, row in csv_rows(iter([lines]), "a.tsv")] == texts
    closed_by_another = lines.replace(texts[120], SENTENCES[120] + '"')
    assert len(list(csv_rows(iter([closed_by_another]), "a.tsv"))) == 200


@pytest.mark.parametrize("closed", ["", '"'])
def test_an_open_quote_in_a_csv_is_named_or_costs_one_row(tmp_path: Path, closed: str) -> None:
    texts = [f'"{text}' if i == 50 else text + closed * (i == 120) for i, text in enumerate(SENTENCES)]
    text = "id,text\n" + "".join(f"{i},{text}\n" for i, text in enumerate(texts))
    with pytest.raises(UserError, match=r"a\.csv:52: this is not csv .*Check the quotes.*`skip_invalid`"):
        rows_of(tmp_path / "a.csv", text)
    assert len(list(csv_rows(iter([text]), "a.csv", on_bad=lambda _: None))) == 200  # and the header
    config = write(tmp_path / "a.csv", text).model_copy(update={"skip_invalid": True})
    assert any(f"1 row skipped: {tmp_path / 'a.csv'}:52" in note for note in read_corpus(config).notes)


def test_verse_in_quotes_is_one_row() -> None:
    verse = '1,"the rose, the thorn,\nthe lamp, the night,\nthe sea, the shore, and all"\n2,x\n'
    assert [row[0] for _, row in csv_rows(iter(["id,text\n" + verse]), "a.csv")] == ["id", "1", "2"]


@pytest.mark.parametrize("first", ["", "\n"])
def test_a_column_without_a_header_loses_no_row(tmp_path: Path, first: str) -> None:
    text = first + "".join(f"{text}\n" for text in SENTENCES)
    assert rows_of(tmp_path / "a.csv", text) == sorted(SENTENCES)
    assert read_corpus(write(tmp_path / "a.csv", text)).notes[0].startswith("no header: the first row")
    assert rows_of(tmp_path / "b.csv", "Text\n" + text.lstrip()) == sorted(SENTENCES)
    assert rows_of(tmp_path / "c.csv", "poem\n" + text.lstrip()) == sorted(SENTENCES)


def test_columns_are_found_without_regard_to_case(tmp_path: Path) -> None:
    table = "ID,Text\n" + "".join(f"{i},{text}\n" for i, text in enumerate(SENTENCES))
    assert rows_of(tmp_path / "a.csv", table) == sorted(SENTENCES)
    assert rows_of(tmp_path / "a.csv", table, column="TEXT") == sorted(SENTENCES)
    lines = "".join(json.dumps({"Text": text}) + "\n" for text in SENTENCES)
    assert rows_of(tmp_path / "a.jsonl", lines) == sorted(SENTENCES)


RECORDS = [{"text": text} for text in SENTENCES]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RECORDS),
        json.dumps(RECORDS, indent=1),
        "".join(json.dumps(record) + "\n" for record in RECORDS),
        "\n".join(json.dumps(record, indent=1) for record in RECORDS),
        json.dumps({"data": RECORDS}),
    ],
    ids=["list", "pretty list", "lines", "pretty", "wrapped"],
)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_healthy_json_is_read_under_either_suffix(tmp_path: Path, name: str, text: str) -> None:
    assert rows_of(tmp_path / name, text) == sorted(SENTENCES)


def test_records_without_the_field_are_skipped_and_counted(tmp_path: Path) -> None:
    lines = [json.dumps({"content" if i == 70 else "text": text}) for i, text in enumerate(SENTENCES)]
    with pytest.raises(UserError, match=r"a\.jsonl:71: no field 'text'.*`skip_invalid`"):
        rows_of(tmp_path / "a.jsonl", "\n".join(lines))
    rows = rows_of(tmp_path / "a.jsonl", "\n".join(lines), skip_invalid=True)
    assert rows == sorted(SENTENCES[:70] + SENTENCES[71:])
    other = json.dumps({"machine": "x"})
    with pytest.raises(UserError, match="no field 'text'"):  # not "no text": this file has no column at all
        rows_of(tmp_path / "b.jsonl", other, skip_invalid=True)


def test_a_broken_first_line_of_jsonl_costs_one_line() -> None:
    bad: list[UserError] = []
    text = '{"a": \n{"a": 1}\n{"a": 2}\n'
    assert list(json_rows(iter([text]), "a.jsonl", bad.append)) == [(2, {"a": 1}), (3, {"a": 2})]
    assert [str(problem).partition(": ")[0] for problem in bad] == ["a.jsonl:1"]


REVIEWS = [
    (f"this book number {i} was {'great' if i % 2 else 'awful'}", str(1 + 4 * (i % 2))) for i in range(60)
]


@pytest.mark.parametrize(
    "header", ["review,rating", "Review Text,Stars", "text,Label", "id_text,star_rating"]
)
def test_tables_of_reviews_are_labeled(tmp_path: Path, header: str) -> None:
    config = write(tmp_path / "a.csv", header + "\n" + "".join(f"{a},{b}\n" for a, b in REVIEWS))
    run = RunConfig.model_validate({"data": config.model_dump(), "model": {"family": "encoder"}})
    assert detect_task(run).name == "classification"
    assert pairs_in(read_labeled(config)) == set(REVIEWS)


def test_a_list_of_labeled_objects_is_a_table(tmp_path: Path) -> None:
    config = write(tmp_path / "a.json", json.dumps([{"text": a, "label": int(b)} for a, b in REVIEWS]))
    run = RunConfig.model_validate({"data": config.model_dump(), "model": {"family": "encoder"}})
    assert detect_task(run).name == "classification"
    assert pairs_in(read_labeled(config)) == set(REVIEWS)


def test_empty_labels_are_skipped_and_counted(tmp_path: Path) -> None:
    rows = [*REVIEWS, ("a book without a star", "")]
    corpus = read_labeled(write(tmp_path / "a.csv", "text,label\n" + "".join(f"{a},{b}\n" for a, b in rows)))
    assert pairs_in(corpus) == set(REVIEWS)
    assert corpus.notes[-1] == f"1 row skipped: {tmp_path / 'a.csv'}:62: no text in 'label'"


def test_several_columns_of_labels_are_a_question(tmp_path: Path) -> None:
    config = write(tmp_path / "a.csv", "text,toxic,insult\n" + "".join(f"{a},{b},0\n" for a, b in REVIEWS))
    tables = {"data": config.model_dump(), "model": {"family": "encoder"}}
    assert detect_task(RunConfig.model_validate(tables)).name == "classification"
    with pytest.raises(UserError, match=r"Set `target_column` to one of: toxic, insult"):
        read_labeled(config)
    assert detect_task(RunConfig.model_validate(tables | {"task": "masked"})).name == "masked"
    running = write(
        tmp_path / "b.csv", "id,text\n" + "".join(f"{i},{text}\n" for i, text in enumerate(SENTENCES))
    )
    tables["data"] = running.model_dump()
    assert detect_task(RunConfig.model_validate(tables)).name == "masked"


PAIRS = [(f"the house number {i}", f"das Haus Nummer {i}") for i in range(30)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("anki.txt", "".join(f"{a}\t{b}\tCC-BY 2.0 (France) Attribution\n" for a, b in PAIRS)),
        ("two.txt", "".join(f"{a}\t{b}\n" for a, b in PAIRS)),
        ("header.txt", "English\tGerman\n" + "".join(f"{a}\t{b}\n" for a, b in PAIRS)),
        ("header.tsv", "id\tEnglish\tGerman\n" + "".join(f"1\t{a}\t{b}\n" for a, b in PAIRS)),
        ("tatoeba.tsv", "".join(f"{i}\t{a}\t{i + 7}\t{b}\n" for i, (a, b) in enumerate(PAIRS))),
        (
            "t.jsonl",
            "".join(json.dumps({"id": 1, "translation": {"en": a, "de": b}}) + "\n" for a, b in PAIRS),
        ),
        ("p.jsonl", "".join(json.dumps({"prompt": a, "completion": b}) + "\n" for a, b in PAIRS)),
        ("p.json", json.dumps([{"instruction": a, "input": "", "output": b} for a, b in PAIRS])),
        ("quotes.tsv", '"source"\t"target"\n' + "".join(f"{a}\t{b}\n" for a, b in PAIRS)),
    ],
)
def test_pairs_as_people_have_them(tmp_path: Path, name: str, text: str) -> None:
    assert pairs_in(read_pairs(write(tmp_path / name, text))) == set(PAIRS)


def test_columns_of_pairs_by_number(tmp_path: Path) -> None:
    config = write(tmp_path / "a.tsv", "".join(f"{a}\tx{i}\t{b}\n" for i, (a, b) in enumerate(PAIRS)))
    with pytest.raises(UserError, match="to two of: 1, 2, 3"):
        read_pairs(config)
    chosen = config.model_copy(update={"column": "1", "target_column": "3"})
    assert pairs_in(read_pairs(chosen)) == set(PAIRS)


def test_the_input_of_an_instruction_belongs_to_it(tmp_path: Path) -> None:
    rows = [{"instruction": f"Add {i}.", "input": f"{i}, 2", "output": str(i + 2)} for i in range(30)]
    corpus = read_pairs(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert pairs_in(corpus) == {(f"Add {i}.\n{i}, 2", str(i + 2)) for i in range(30)}


def test_rows_without_two_texts_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"its rows have 1 fields of text, not two \(a\)"):
        read_pairs(write(tmp_path / "a.jsonl", '{"a": "x", "b": ["y"]}\n'))


def test_captions_of_flickr8k(tmp_path: Path) -> None:
    Image = pytest.importorskip("PIL.Image")
    from glassgpt.data import read_captioned

    (tmp_path / "Images").mkdir()
    for i in range(24):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"Images/p{i}.png")
    rows = "".join(f'p{i}.png,"a thing, number {i}"\np{i}.png,a dog .\n' for i in range(24))
    (tmp_path / "captions.txt").write_text("image,caption\n" + rows)
    corpus = read_captioned(DataConfig(sources=(str(tmp_path),)), 8)
    assert len(corpus.train) + len(corpus.val) == 48
