"""A mark ends each of many documents: lengths stay, it is one token everywhere, and samples stop there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glassgpt.checkpoint import Run
from glassgpt.config import DataConfig, RunConfig
from glassgpt.data import Corpus, read_corpus
from glassgpt.generate import complete, sample_text
from glassgpt.tokenizers import END_OF_DOCUMENT, train_tokenizer
from glassgpt.train import start

NOTES = [f"Note {i}: {'geese and ' * (i % 7)}{i * 7 % 31} swans.{chr(10) * (i % 4)}" for i in range(120)]


def corpus(path: Path, texts: list[str], **options: object) -> Corpus:
    path.write_text("".join(f"{json.dumps({'text': text})}\n" for text in texts))
    return read_corpus(DataConfig.model_validate({"sources": (str(path),), **options}), marks=True)


def test_a_mark_takes_the_place_of_a_newline(tmp_path: Path) -> None:
    marked = corpus(tmp_path / "a.jsonl", NOTES)
    plain = read_corpus(DataConfig(sources=(str(tmp_path / "a.jsonl"),)))
    assert marked.end == END_OF_DOCUMENT and plain.end == "" and "a mark ends each" in " ".join(marked.notes)
    for ours, theirs in ((marked.train, plain.train), (marked.val, plain.val)):
        assert (
            ours.lengths() == theirs.lengths() and ours.read().replace(END_OF_DOCUMENT, "\n") == theirs.read()
        )
    whole = marked.train.read() + marked.val.read()
    assert whole.count(END_OF_DOCUMENT) == len(NOTES) - 1  # nothing follows the last one
    read = {
        part.strip() for text in (marked.train, marked.val) for part in text.read().split(END_OF_DOCUMENT)
    }
    assert {note.strip() for note in NOTES} == read - {""}


@pytest.mark.parametrize(
    ("texts", "options"),
    [
        (NOTES[:19] * 2, {"split": "end"}),
        ([note * 6 for note in NOTES[10:26]], {}),
        ([note * 400 for note in NOTES[:30]], {}),
        ([*NOTES, f"its own {END_OF_DOCUMENT} mark"], {}),
    ],
    ids=["one text", "few", "long", "has the mark"],
)
def test_other_texts_have_no_marks(tmp_path: Path, texts: list[str], options: dict[str, object]) -> None:
    found = corpus(tmp_path / "a.jsonl", texts, **options)
    assert found.end == "" and "a mark ends" not in " ".join(found.notes)
    assert sum(END_OF_DOCUMENT in text for text in texts) == found.train.read().count(END_OF_DOCUMENT) + (
        found.val.read().count(END_OF_DOCUMENT)
    )


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_the_mark_is_one_token_and_part_of_no_other(kind: str) -> None:
    text = f"{END_OF_DOCUMENT}\n".join(NOTES)
    tokenizer = train_tokenizer(kind, [text], vocab_size=400)
    [end] = tokenizer.encode(END_OF_DOCUMENT)
    ids = tokenizer.encode(text)
    assert ids.count(end) == text.count(END_OF_DOCUMENT) and tokenizer.decode(ids) == text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("marked")
    corpus(folder / "a.jsonl", NOTES * 2)
    tables = {
        "data": {"sources": [str(folder / "a.jsonl")]},
        "model": {"size": "nano", "n_layer": 1, "block_size": 64},
        "train": {"steps": 60, "evals": 1, "sample_tokens": 60},
    }
    session = start(RunConfig.model_validate(tables), folder / "run")
    list(session.run())
    return session.folder


def test_a_sample_begins_and_stops_where_a_document_does(run: Run) -> None:
    model, tokenizer = run.model(), run.tokenizer()
    assert model.config.end == END_OF_DOCUMENT and model.config.prompt == f"{END_OF_DOCUMENT}\n"
    for seed in range(3):
        text = "".join(sample_text(model, tokenizer, max_new_tokens=300, seed=seed))
        longer = "".join(sample_text(model, tokenizer, max_new_tokens=300, seed=seed, ignore_end=True))
        assert longer.startswith(f"{text}{END_OF_DOCUMENT}") and END_OF_DOCUMENT not in text
    [[one]] = complete(model, tokenizer, [model.config.prompt], max_new_tokens=300, seed=0)
    assert one.finish_reason == "stop" and END_OF_DOCUMENT not in one.text
    [[on]] = complete(model, tokenizer, [model.config.prompt], max_new_tokens=300, ignore_end=True, seed=0)
    assert on.finish_reason == "length" and on.text.startswith(one.text)
    assert all(END_OF_DOCUMENT not in path.read_text() for path in run.path.glob("samples/*.txt"))
