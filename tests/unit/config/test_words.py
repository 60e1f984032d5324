"""Settings in words."""

from __future__ import annotations

import pytest

from glassgpt.config import RunConfig, settings_in_words
from glassgpt.config.words import setting_places
from glassgpt.errors import UserError


@pytest.mark.parametrize(
    ("words", "tables"),
    [
        ("speedrun", {"model": {"preset": "speedrun"}}),
        ("size=nano lr=0.01", {"model": {"size": "nano"}, "optim": {"lr": 0.01}}),
        ("--lr 1e-2 --batch-size=8", {"optim": {"lr": 0.01}, "train": {"micro_batch_size": 8}}),
        ("batch_size=8", {"train": {"micro_batch_size": 8}}),
        ("--compile --no-bias", {"train": {"compile": True}, "model": {"bias": False}}),
        ("--tokenizer bpe --model bigram", {"tokenizer": {"kind": "bpe"}, "model": {"family": "bigram"}}),
        ("a.txt 'b c.txt' nano", {"data": {"sources": ("a.txt", "b c.txt")}, "model": {"size": "nano"}}),
        ("optim.lr=0.1 task=chat", {"optim": {"lr": 0.1}, "task": "chat"}),
        (["column=first name"], {"data": {"column": "first name"}}),
    ],
)
def test_words_become_tables(words: str, tables: dict[str, object]) -> None:
    assert settings_in_words(words) == tables


@pytest.mark.parametrize("words", ["learn=0.1", "--no-such 3", "size='nano"])
def test_unknown_settings_and_open_quotes_are_errors(words: str) -> None:
    with pytest.raises(UserError, match=r"no such setting|Close every quote"):
        settings_in_words(words)


def test_every_setting_has_a_word() -> None:
    config = RunConfig.model_validate({})
    for name, (table, field) in setting_places().items():
        assert hasattr(getattr(config, table) if table else config, field), name
