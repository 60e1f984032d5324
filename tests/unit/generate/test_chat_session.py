"""Commands within a conversation, and messages from a terminal or a pipe."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import closing

import pytest

from glassgpt.cli.commands.chat import _show
from glassgpt.cli.view.terminal import Terminal
from glassgpt.cli.view.terminal_input import input_lines, join_lines
from glassgpt.config import ModelConfig
from glassgpt.data import CHAT_SPECIALS
from glassgpt.errors import UserError
from glassgpt.generate import SamplingParams
from glassgpt.generate.chat_session import HELP, ChatSession
from glassgpt.models import build
from glassgpt.tokenizers import train_tokenizer


@pytest.fixture
def talk() -> ChatSession:
    tokenizer = train_tokenizer("byte", "", specials=CHAT_SPECIALS)
    model = build(ModelConfig.model_validate({"size": "nano", "block_size": 96}), tokenizer.n_vocab)
    return ChatSession(model, tokenizer, SamplingParams(), max_new_tokens=12, seed=1)


def say(talk: ChatSession, text: str) -> str:
    pieces = talk.send(text).pieces
    assert pieces is not None
    return "".join(pieces)


def roles(talk: ChatSession) -> list[str]:
    return [message.role for message in talk.messages]


def test_a_conversation(talk: ChatSession) -> None:
    said = say(talk, "hello")
    assert [m.content for m in talk.messages] == ["hello", said] and said
    assert talk.send("/help").note == HELP
    assert "be kind" in talk.send("/system be kind").note
    say(talk, "//path is a word")
    assert roles(talk) == ["system", "user", "assistant", "user", "assistant"]
    assert talk.messages[3].content == "/path is a word"
    before = talk.messages[:4]
    other = say(talk, "/retry")
    assert talk.messages[:4] == before and talk.messages[4].content == other
    talk.send("/undo")
    assert roles(talk) == ["system", "user", "assistant"]
    talk.send("/system")
    assert roles(talk) == ["user", "assistant"]
    talk.send("/reset")
    assert not talk.messages
    assert talk.send("/exit").ended


def test_what_cannot_be_changes_nothing(talk: ChatSession) -> None:
    say(talk, "hello")
    before = list(talk.messages)
    for text, says in (("/frob", "/frob is no command"), ("x" * 200, "takes 203 tokens")):
        with pytest.raises(UserError, match=says):
            talk.send(text)
    assert talk.messages == before
    talk.send("/reset")
    for command in ("/undo", "/retry"):
        with pytest.raises(UserError, match="there is no message yet"):
            talk.send(command)


def test_a_stopped_reply_is_kept_as_far_as_it_came(talk: ChatSession) -> None:
    pieces = talk.send("hello").pieces
    assert pieces is not None
    with closing(pieces):
        first = next(pieces)
    assert [m.content for m in talk.messages] == ["hello", first]


def test_ctrl_c_ends_a_reply_and_nothing_else() -> None:
    closed = []

    def pieces() -> Generator[str]:
        try:
            yield "so far "
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    console = Terminal(io.StringIO())
    _show(pieces(), console)
    assert isinstance(console.file, io.StringIO) and "so far  … stopped" in console.file.getvalue() and closed


def test_outgrowing_is_said_once(talk: ChatSession) -> None:
    notices = []
    for _ in range(8):
        reply = talk.send("q" * 20)
        assert reply.pieces is not None and list(reply.pieces)
        notices.append(reply.notice)
    assert sum(map(bool, notices)) == 1 and "has outgrown the 96 tokens" in "".join(notices)
    assert len(talk.messages) > 8  # all is kept, though not all is visible


def test_seeds_differ_from_reply_to_reply(talk: ChatSession) -> None:
    first, second = say(talk, "hello"), say(talk, "/retry")
    assert first != second
    talk.send("/reset")
    talk._n_replies = 0
    assert say(talk, "hello") == first


def test_messages_from_a_pipe() -> None:
    text = "one\n\n  \ntwo \\\nlines\\\nthree\r\nfour\\"
    messages = list(join_lines(input_lines(io.StringIO(text))))
    assert messages == [(1, "one"), (4, "two \nlines\nthree"), (7, "four")]
