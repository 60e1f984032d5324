"""The declarations of tasks: which one a configuration means, and what each declares."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import glassgpt as gg
from glassgpt.cli.main import COMMANDS
from glassgpt.config import Layer, RunConfig, preset_names, resolve
from glassgpt.errors import UserError
from glassgpt.models import FAMILIES
from glassgpt.tasks import TASKS, detect_task, register, task_of, task_of_model
from glassgpt.train import plan
from helpers import conversations

TEXT = "".join(f"{i} geese, {i * 7 % 31} swans, {i * 5 % 13} ashore.\n" for i in range(100))


def config(source: Path | str, **tables: object) -> RunConfig:
    return RunConfig.model_validate({"data": {"sources": [str(source)]}, **tables})


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path / "text.txt"


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    rows = [
        f"a {'fine' if i % 2 else 'dull'} film number {i},{'good' if i % 2 else 'bad'}" for i in range(40)
    ]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *rows]))
    return tmp_path / "reviews.csv"


def test_families_commands_and_names_are_complete() -> None:
    assert {family for task in TASKS.values() for family in task.families} == set(FAMILIES)
    assert set(FAMILIES) == set(preset_names("family"))
    assert all(name == task.name for name, task in TASKS.items())
    assert {command for task in TASKS.values() for command in task.commands} <= COMMANDS.keys()
    assert all("{run}" in task.usage and task.commands[0] in task.usage for task in TASKS.values())


@pytest.mark.parametrize(
    ("family", "task"), [("gpt", "language"), ("bigram", "language"), ("encoder", "masked")]
)
def test_running_text(text: Path, family: str, task: str) -> None:
    assert detect_task(config(text, model={"family": family})).name == task


def test_the_data_decide(tmp_path: Path, reviews: Path) -> None:
    chat = conversations.write(tmp_path / "chat.jsonl", 30)
    assert detect_task(config(chat)).name == "chat"
    assert detect_task(config(chat, model={"family": "bigram"})).name == "language"
    assert detect_task(config(reviews, model={"family": "encoder"})).name == "classification"
    assert detect_task(config("dates")).name == "translation"
    assert detect_task(config("scenes")).name == "captioning"


def test_a_task_can_be_named(text: Path, tmp_path: Path) -> None:
    named = plan([Layer("option", {"data": {"sources": [str(text)]}, "task": "masked"})])
    assert named.config.model.family == "encoder" and named.config.task == "masked"
    assert named.resolved.origins["model.family"] == "task masked"
    chat = conversations.write(tmp_path / "chat.jsonl", 30)
    with pytest.raises(UserError, match=r"chat needs `family` gpt, got bigram"):
        plan(config(chat, task="chat", model={"family": "bigram"}))
    with pytest.raises(UserError, match=r"'chess' is unknown"):
        plan(config(text, task="chess"))


def test_facts_come_from_the_data(reviews: Path, tmp_path: Path) -> None:
    planned = plan(config(reviews, model={"family": "encoder"}))
    assert planned.config.model.labels == ("bad", "good")
    assert planned.config.tokenizer.kind == "bpe"
    assert planned.resolved.origins["tokenizer.kind"] == "data"
    letters = plan(config(reviews, model={"family": "encoder"}, tokenizer={"kind": "char"}))
    assert letters.config.tokenizer.kind == "char"
    chat = conversations.write(tmp_path / "chat.jsonl", 30)
    assert plan(config(chat)).config.model.block_size == 256
    assert plan(config(chat, model={"size": "nano"})).config.model.block_size == 64
    assert plan(config(chat, model={"block_size": 80})).config.model.block_size == 80


def test_a_plan_writes_nothing(text: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert plan(config(text)).config.task == "language"
    assert sorted(tmp_path.rglob("*")) == before


def test_the_task_and_the_origins_are_kept_in_the_run(text: Path, tmp_path: Path) -> None:
    quick = {"steps": 2, "evals": 1, "sample_tokens": 0}
    session = gg.start(config(text, model={"size": "nano"}, train=quick), tmp_path / "run")
    list(session.run())
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert stored["task"] == "language" and stored["format"] == 2
    assert stored["origins"]["model.n_layer"] == "size nano" and stored["origins"]["train.steps"] == "given"
    assert gg.Run(tmp_path / "run").origins() == stored["origins"]
    assert task_of(gg.Run(tmp_path / "run").config()).name == "language"
    longer = gg.Run(tmp_path / "run").config()
    list(gg.resume(tmp_path / "run", longer.model_copy(update={"train": replace_steps(longer, 4)})).run())
    assert gg.Run(tmp_path / "run").origins() == stored["origins"]


def replace_steps(config: RunConfig, steps: int) -> object:
    return config.train.model_copy(update={"steps": steps})


def test_a_task_of_your_own(text: Path) -> None:
    calls: list[str] = []

    def read(config: RunConfig) -> gg.Corpus:
        calls.append(config.data.sources[0])
        return gg.Corpus.from_text(TEXT)

    before = dict(TASKS)
    try:
        register(replace(TASKS["language"], name="mine", read=read))
        assert detect_task(config(text)).name == "mine"
        assert plan(config(text)).config.task == "mine" and calls == [str(text)]
        assert task_of_model(resolve([]).config.model).name == "mine"
    finally:
        TASKS.clear()
        TASKS.update(before)
