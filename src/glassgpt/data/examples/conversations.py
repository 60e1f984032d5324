"""Conversations from jsonl: who said what, and which of it can be learned from.

Not here: how they become tokens, which is chat.py, and jsonl that is read as running text, which is rows.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from glassgpt.config import DataConfig
from glassgpt.data.corpus import SURROGATES
from glassgpt.data.examples.examples import MIN_EXAMPLES, split_by_group
from glassgpt.data.examples.table import JSON_LINES, Report, open_text
from glassgpt.data.files import Source, ending, json_rows, resolve
from glassgpt.errors import UserError

ROLES = ("system", "user", "assistant")
FORM = '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'


@dataclass(frozen=True, slots=True)
class Message:
    """What one side says: `role` is one of ROLES."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages in their order; a system message, if any, comes first."""

    messages: tuple[Message, ...]
    where: str = ""
    """File and line, for messages to the user."""


@dataclass(frozen=True)
class ChatCorpus:
    """Conversations to learn from and conversations held out to measure on."""

    train: Sequence[Conversation]
    val: Sequence[Conversation]
    notes: tuple[str, ...] = ()
    """What the user should hear: how many rows were skipped and why."""

    def texts(self) -> Iterator[str]:
        """All that is said in the training conversations, for a tokenizer to learn from."""
        for conversation in self.train:
            yield "".join(f"{message.content}\n" for message in conversation.messages)


def is_chat(data: DataConfig) -> bool:
    """Whether the sources are conversations: all of them jsonl whose first object has `messages`.

    An object that has a `text` as well is a text, and `column` asks for running text, too.
    """
    if data.column:
        return False
    found = resolve(data.sources)
    if not found or any(ending(source.name) not in JSON_LINES for source in found):
        return False
    return all(_begins_with_messages(source, data.encoding) for source in found)


def _begins_with_messages(source: Source, encoding: str | None) -> bool:
    with open_text(source, encoding, Report()) as pieces:
        rows = json_rows(pieces, source.name, on_bad=lambda _: None)
        first = next((value for _, value in rows if isinstance(value, dict)), {})
    return "messages" in first and "text" not in first


def read_chat(data: DataConfig) -> ChatCorpus:
    """The conversations in jsonl files, one a line, split into those to learn from and those held out.

    Conversations in which the user says the same lie on the same side. Raises UserError for the first bad
    row unless `skip_invalid`, and below MIN_EXAMPLES conversations.
    """
    report, found = Report(data.skip_invalid), []
    for source in resolve(data.sources):
        if ending(source.name) not in JSON_LINES:
            raise UserError(f"{source.name} is no .jsonl file; conversations are read from those alone")
        with open_text(source, data.encoding, report) as pieces:
            for number, value in json_rows(pieces, source.name, report.bad):
                try:
                    found.append(parse_conversation(value, f"{source.name}:{number}"))
                except UserError as problem:
                    report.bad(problem)
    if len(found) < MIN_EXAMPLES:
        notes = "".join(f"\n  {note}" for note in report.notes())
        raise UserError(
            f"{len(found)} conversations are too few to learn from and measure on; at least {MIN_EXAMPLES} "
            f"are needed. Add more{notes}"
        )
    train, val = split_by_group(found, _asked, data.val_fraction)
    return ChatCorpus(train, val, report.notes())


def _asked(conversation: Conversation) -> str:
    said = " ".join(m.content for m in conversation.messages if m.role == "user")
    return " ".join(said.split()).casefold()


def parse_conversation(value: Any, where: str) -> Conversation:
    """A conversation from one object of json.

    White space around a message is dropped. Raises UserError, with `where`, for what can't be learned from.

    >>> said = [{"role": "user", "content": "Hi "}, {"role": "assistant", "content": "Hello!"}]
    >>> [m.content for m in parse_conversation({"messages": said}, "a.jsonl:1").messages]
    ['Hi', 'Hello!']
    """
    given = value.get("messages") if isinstance(value, dict) else None
    if not isinstance(given, list) or not given:
        raise UserError(f"{where}: no list of messages; write {FORM}")
    messages = tuple(_message(each, number, where) for number, each in enumerate(given, 1))
    if any(message.role == "system" for message in messages[1:]):
        raise UserError(f"{where}: a system message that is not the first one; put it first, or remove it")
    if all(message.role != "assistant" for message in messages):
        raise UserError(
            f"{where}: the assistant says nothing, so there is nothing to learn; add a reply, or remove the "
            "row"
        )
    return Conversation(messages, where)


def _message(value: Any, number: int, where: str) -> Message:
    role = value.get("role") if isinstance(value, dict) else None
    if role not in ROLES:
        raise UserError(
            f"{where}: message {number} has the role {str(role)[:40]!r}, not {', '.join(ROLES)}; rename it, "
            "or remove the row"
        )
    content = _text(value.get("content")).strip()
    if not content:
        raise UserError(
            f"{where}: message {number}, of the {role}, has no text; fill it in, or remove the row"
        )
    return Message(role, content)


def _text(content: Any) -> str:
    """What a content says: a string, or a list of parts, of which all are text.

    >>> _text([{"type": "text", "text": "Hi."}]), _text([{"type": "image_url"}]), _text(3)
    ('Hi.', '', '')
    """
    parts = [{"text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list):
        return ""
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    known = [text for text in texts if isinstance(text, str)]
    return SURROGATES.sub("\ufffd", "".join(known)) if len(known) == len(texts) else ""
