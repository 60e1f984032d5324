"""The small inputs that once failed, next to the data of `GLASSGPT_DATA`: each does what its README says."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from faults.mutate import rehash
from glassgpt.checkpoint import Run, steps
from glassgpt.config import Layer, RunConfig
from glassgpt.data import Corpus
from glassgpt.errors import UserError
from glassgpt.generate import Engine, Request
from glassgpt.tokenizers import END_OF_DOCUMENT, load_tokenizer
from glassgpt.train import Plan, plan, resume, start
from helpers.commands import run as command

CASES = Path(os.environ.get("GLASSGPT_DATA") or "missing").resolve().parent / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the folder of cases is not here")
SKIP = {"skip_invalid": True}


def planned(*names: str, data: dict[str, Any] | None = None, **tables: Any) -> Plan:
    sources = [str(CASES / name) for name in names]
    return plan([Layer("option", {"data": {"sources": sources, **(data or {})}, **tables})])


def n_examples(found: Plan) -> int:
    return len(found.corpus.train) + len(found.corpus.val)


def rows(found: Plan) -> list[str]:
    corpus = found.corpus
    assert isinstance(corpus, Corpus)
    text = corpus.train.read() + "\n\n" + corpus.val.read()
    return [row for row in text.replace(END_OF_DOCUMENT, "\n").split("\n\n") if row]


def said(found: Plan) -> str:
    return " ".join((*found.notes, *found.corpus.notes))


@pytest.mark.parametrize(
    ("name", "me", "counts"),
    [
        ("_chat.txt", "First Citizen", "80 messages: 48 used to learn what First Citizen says, 31 without"),
        ("telegram_result.json", "Ana", "60 messages: 60 used"),
    ],
)
def test_exported_chats(name: str, me: str, counts: str) -> None:
    with pytest.raises(UserError, match=rf"{me}.*Set `me` to the name"):
        planned(name)
    found = planned(name, data={"me": me})
    assert found.task.name == "chat" and counts in said(found)
    assert all(m.role in ("user", "assistant") for c in found.corpus.train for m in c.messages)


def test_a_short_chat_of_discord_counts_its_messages() -> None:
    with pytest.raises(UserError, match="Set `me`"):
        planned("discord.json")
    with pytest.raises(UserError, match=r"40 messages: 39 used .* 1 without a reply"):
        planned("discord.json", data={"me": "First Citizen"})


@pytest.mark.parametrize("name", ["sharegpt.jsonl", "minimind.jsonl", "chat.json", "alpaca.jsonl"])
def test_conversations(name: str) -> None:
    found = planned(name)
    assert found.task.name == "chat" and n_examples(found) == 60


def test_alpaca_is_also_pairs() -> None:
    found = planned("alpaca.jsonl", task="translation")
    assert n_examples(found) == 60 and "source column 'instruction'" in said(found)


def test_sorted_sources() -> None:
    names = planned("names-sorted.txt").corpus
    assert names.split == "lines" and {line[0] for line in names.val.read().split()} > set("abcdefg")
    folder = planned("sorted").corpus
    assert folder.split == "documents" and set(folder.val.read()) - set(folder.train.read()) < set("xyz")


def test_tables_of_labels() -> None:
    assert n_examples(planned("review_rating.csv", model={"family": "encoder"})) == 400
    assert n_examples(planned("list.json", model={"family": "encoder"})) == 200
    with pytest.raises(UserError, match="`target_column` to one of: toxic, insult"):
        planned("multi_label.csv", model={"family": "encoder"})
    messy = planned("messy.csv", model={"family": "encoder"})
    assert n_examples(messy) == 195 and "4 rows skipped" in said(messy)


@pytest.mark.parametrize("name", ["anki.txt", "trans.jsonl"])
def test_pairs(name: str) -> None:
    for tables in ({}, {"model": {"family": "seq2seq"}}):
        found = planned(name, **tables)
        assert found.task.name == "translation" and n_examples(found) == 120


@pytest.mark.parametrize(("name", "n"), [("nohead1.csv", 60), ("capital.csv", 59), ("quote_text.tsv", 200)])
def test_no_row_of_a_table_is_lost(name: str, n: int) -> None:
    assert len(rows(planned(name))) == n


@pytest.mark.parametrize(
    ("name", "where", "n"),
    [("openquote.csv", 32, 200), ("extra_comma.csv", 52, 99), ("missing.jsonl", 71, 80)],
)
def test_a_bad_row_is_named_or_skipped_and_counted(name: str, where: int, n: int) -> None:
    with pytest.raises(UserError, match=rf"{name}:{where}: .*`skip_invalid`"):
        planned(name)
    found = planned(name, data=SKIP)
    assert len(rows(found)) == n - 1 and f"1 row skipped: {CASES / name}:{where}" in said(found)


def test_healthy_json_with_another_ending() -> None:
    assert planned("list.jsonl").corpus.train.n_chars > 4_000


@pytest.mark.parametrize(
    ("name", "bad", "n"), [("folder_tsconfig", "tsconfig.json", 2), ("folder_badutf8", "b.txt", 1)]
)
def test_one_bad_file_does_not_end_a_folder(name: str, bad: str, n: int) -> None:
    found = planned(name)
    assert len(found.corpus.documents) == n and f"1 file skipped: {CASES / name / bad}" in said(found)


def test_a_nul_is_text() -> None:
    found = planned("nul_early.txt")
    assert found.corpus.train.read().count("\0") == 1 and "NUL characters kept" in said(found)


@pytest.mark.parametrize(
    ("name", "never"),
    [
        ("plain.txt.gz", "\x1f"),
        ("letter.docx", "<w:"),
        ("notes.rtf", "\\par"),
        ("lecture.ipynb", "image/png"),
    ],
)
def test_documents(name: str, never: str) -> None:
    corpus = planned(name).corpus
    text = corpus.train.read() + corpus.val.read()
    assert len(text) > 1_000 and never not in text


def test_a_short_document_is_read_and_said_to_be_too_short() -> None:
    with pytest.raises(UserError, match=r"essay\.odt: 444 characters are too few"):
        planned("essay.odt")


def test_a_text_without_lines_begins_with_something_known() -> None:
    found = planned("dna.txt")
    assert found.config.model.prompt and set(found.config.model.prompt) <= set("ACGT")


def test_captions_of_flickr() -> None:
    found = planned("flickr8k_style")
    assert found.task.name == "captioning" and n_examples(found) == 60


@pytest.mark.parametrize("name", ["bz2bomb.zip", "rep.epub"])
def test_bombs_are_refused_at_once(name: str) -> None:
    resource = pytest.importorskip("resource")
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError):
        planned(name)
    assert time.process_time() - began < 2
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 300_000  # kB


def test_a_tokenizer_with_a_long_number_is_refused_at_once(tmp_path: Path) -> None:
    shutil.copy(CASES / "tokenizer-longint.json", tmp_path / "tokenizer.json")
    began = time.process_time()
    with pytest.raises(UserError):
        load_tokenizer(tmp_path / "tokenizer.json")
    assert time.process_time() - began < 0.5


def trained(name: str, out: Path, n_steps: int, **tables: Any) -> Run:
    """Train a tiny model on a case."""
    train = {"steps": n_steps, "sample_tokens": 0, **tables.pop("train", {})}
    model = {"n_layer": 1, "n_embd": 32, "n_head": 2, "block_size": 32, **tables.pop("model", {})}
    data = {"sources": [str(CASES / name)]}
    list(start(RunConfig.model_validate({"data": data, "model": model, "train": train}), out).run())
    return Run.open(out)


@pytest.fixture(scope="module")
def hyphens(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained("hyphens.txt", tmp_path_factory.mktemp("hyphens") / "run", 60, train={"evals": 1})


@pytest.mark.slow
def test_a_protein_that_is_learned_by_heart_is_said_to_be(tmp_path: Path) -> None:
    model = {"n_layer": 2, "n_embd": 64, "block_size": 64}
    verdict = trained("protein.txt", tmp_path / "run", 130, model=model).verdict()
    assert verdict is not None and verdict.trend is not None
    assert verdict.trend.best_step < verdict.trend.last_step
    for words in (f"Step {verdict.trend.best_step} of 130 was its best", "learns by heart", "more text"):
        assert words in verdict.sentence


def test_a_hyphen_means_what_it_says(hyphens: Run) -> None:
    folder, quick = hyphens.path.parent, ("--seed", "1", "--max-new-tokens", "60")
    until = command(folder, "sample", "run", "--prompt", "red", "--until", "-", *quick)
    stopped = command(folder, "sample", "run", "--prompt", "red", "--stop", "-", *quick)
    assert until.strip().endswith("-") and stopped.strip() == until.strip().removesuffix("-")
    asked = command(folder, "sample", "run", "--prompt", "-", "--json", *quick)
    assert json.loads(asked)["prompt"] == "-"
    assert "<stdin>" not in command(folder, "look", "run", "-")
    command(folder, "sample", "run", "--out", "-", *quick)
    assert (folder / "-").read_text("utf-8").strip()


@pytest.mark.parametrize("name", ["101-12-state.json", "101-714-state.json", "202-257-state.json"])
def test_a_wrong_state_is_a_clear_error(hyphens: Run, tmp_path: Path, name: str) -> None:
    shutil.copytree(hyphens.path, tmp_path / "run")
    for step in steps(tmp_path / "run" / "checkpoints"):
        shutil.copyfile(CASES / "states" / name, step / "state.json")
    rehash(tmp_path / "run")
    config = Run.open(tmp_path / "run").config()
    longer = config.model_copy(update={"train": config.train.model_copy(update={"steps": 90})})
    with pytest.raises(UserError, match=r"state\.json|no checkpoint"):
        resume(tmp_path / "run", longer)


def test_a_cancelled_request_leaves_its_slot(hyphens: Run) -> None:
    tokenizer = hyphens.tokenizer()
    engine = Engine(hyphens.model())
    first, second = (engine.add(Request(tokenizer.encode(text), seed=1)) for text in ("red", "new"))
    engine.step()
    engine.cancel(first)
    assert [each.request_id for each in engine._scheduler.active] == [second]
    streams = [engine.stream(Request(tokenizer.encode(text), seed=3)) for text in ("blue", "old")]
    for stream in streams:
        next(stream)
    streams[0].close()
    assert len(engine._scheduler.active) == 2 and next(streams[1]).id is not None


def test_a_configuration_of_quotes_is_refused_at_once(hyphens: Run, tmp_path: Path) -> None:
    shutil.copytree(hyphens.path, tmp_path / "run")
    shutil.copyfile(CASES / "redos-config-20kB.json", tmp_path / "run" / "config.json")
    began = time.process_time()
    with pytest.raises(UserError, match=r"config\.json"):
        Run.open(tmp_path / "run").config()
    assert time.process_time() - began < 0.5
