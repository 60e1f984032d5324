"""Conversations from jsonl: what is read, what is refused by file and line, what is running text."""

import json
from pathlib import Path
from typing import Any

import pytest

from glassgpt.config import DataConfig
from glassgpt.data import Message, is_chat, read_chat
from glassgpt.data.examples.conversations import parse_conversation
from glassgpt.errors import UserError
from helpers import conversations

USER, ASSISTANT = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}


def data(path: Path, **more: Any) -> DataConfig:
    return DataConfig(sources=(str(path),), **more)


def test_splits_by_what_the_user_says(tmp_path: Path) -> None:
    path = conversations.write(tmp_path / "chat.jsonl", 200)
    path.write_text(path.read_text() * 2)  # each twice: both copies must lie on one side
    corpus = read_chat(data(path))
    assert len(corpus.train) + len(corpus.val) == 400
    train, val = ({c.messages for c in side} for side in (corpus.train, corpus.val))
    assert 10 <= len(val) <= 30 and not train & val
    assert read_chat(data(path)) == corpus
    assert corpus.val[0].where.startswith(str(path))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("[1", "not JSON"),
        ('"hi"', "no list of messages"),
        ('{"messages": []}', "no list of messages"),
        ('{"messages": "hi"}', "no list of messages"),
        ({"messages": [USER]}, "the assistant says nothing"),
        ({"messages": [USER, {"role": "tool", "content": "x"}]}, "message 2 has the role 'tool'"),
        ({"messages": [USER, "hello"]}, "message 2 has the role"),
        (
            {"messages": [{"role": "user", "content": " \n"}, ASSISTANT]},
            "message 1, of the user, has no text",
        ),
        ({"messages": [USER, {"role": "assistant"}]}, "message 2, of the assistant, has no text"),
        ({"messages": [USER, {"role": "assistant", "content": [{"type": "image"}]}]}, "has no text"),
        ({"messages": [USER, ASSISTANT, {"role": "system", "content": "x"}]}, "not the first message"),
    ],
)
def test_bad_rows_are_named_or_counted(tmp_path: Path, row: object, says: str) -> None:
    path = conversations.write(tmp_path / "chat.jsonl", 40)
    bad = row if isinstance(row, str) else json.dumps(row)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], bad, *lines[2:]]))
    with pytest.raises(UserError, match=r"chat\.jsonl:3: .*`skip_invalid`") as error:
        read_chat(data(path))
    assert says in str(error.value) and ". " in str(error.value)
    corpus = read_chat(data(path, skip_invalid=True))
    assert len(corpus.train) + len(corpus.val) == 40
    assert corpus.notes[0].startswith("1 row skipped") and says in corpus.notes[0]


def test_too_few(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"7 conversations are too few .* minimum is 20"):
        read_chat(data(conversations.write(tmp_path / "chat.jsonl", 7)))


def test_what_is_a_conversation(tmp_path: Path) -> None:
    chat = conversations.write(tmp_path / "chat.jsonl", 30)
    text = tmp_path / "text.jsonl"
    text.write_text('{"text": "words", "messages": []}\n')
    assert is_chat(data(chat))
    assert not is_chat(data(chat, column="messages"))  # running text is asked for
    assert not is_chat(data(text)) and not is_chat(data(tmp_path / "text.jsonl", column="text"))
    assert not is_chat(DataConfig(sources=(str(chat), str(text))))
    assert not is_chat(DataConfig())
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text("{\n" + chat.read_text())
    assert is_chat(data(damaged))  # and then the first line is named


def test_contents_in_parts_and_surrogates() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "\ud800b "}]
    found = parse_conversation({"messages": [{"role": "assistant", "content": parts}]}, "x:1")
    assert found.messages == (Message("assistant", "a\ufffdb"),)
