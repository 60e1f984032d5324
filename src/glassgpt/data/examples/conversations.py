"""Conversations from jsonl: messages with roles.

batches/chat_template.py encodes them as tokens. files/rows.py reads jsonl as running text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from glassgpt.config import DataConfig
from glassgpt.data.examples.examples import MIN_EXAMPLES, split_by_group, too_few
from glassgpt.data.examples.table import JSON_LINES, open_text
from glassgpt.data.files import (
    Report,
    Source,
    json_rows,
    parse_message,
    replace_surrogates,
    resolve_sources,
    suffix_of,
)
from glassgpt.errors import UserError

ROLES = ("system", "user", "assistant")
FORM = '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    """One of ROLES."""
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages in order; a system message, if any, comes first."""

    messages: tuple[Message, ...]
    where: str = ""
    """File and line, for messages to the user."""


@dataclass(frozen=True)
class ChatCorpus:
    """Training and validation conversations."""

    train: Sequence[Conversation]
    val: Sequence[Conversation]
    notes: tuple[str, ...] = ()
    """Notes for the user: skipped rows, guessed encodings."""

    def texts(self) -> Iterator[str]:
        """Yield the messages of the training conversations, to train a tokenizer."""
        for conversation in self.train:
            yield "".join(f"{message.content}\n" for message in conversation.messages)


def is_chat(data: DataConfig) -> bool:
    """Return True if all sources are jsonl files and the first object of each has `messages`.

    An object with a `text` too is running text; so are all sources if `column` is set.
    """
    if data.column:
        return False
    found = resolve_sources(data.sources, data.follow_links)
    if not found or any(suffix_of(source.name) not in JSON_LINES for source in found):
        return False
    return all(_begins_with_messages(source, data.encoding) for source in found)


def _begins_with_messages(source: Source, encoding: str | None) -> bool:
    with open_text(source, encoding, Report()) as pieces:
        rows = json_rows(pieces, source.name, on_bad=lambda _: None)
        first = next((value for _, value in rows if isinstance(value, dict)), {})
    return "messages" in first and "text" not in first


def read_chat(data: DataConfig) -> ChatCorpus:
    """Read conversations from jsonl files, one per line, and split them.

    Conversations with the same user messages share a split. Raises UserError for the first invalid row unless
    `skip_invalid`, and for fewer than MIN_EXAMPLES conversations.
    """
    report, found = Report(data.skip_invalid), []
    for source in resolve_sources(data.sources, data.follow_links):
        if suffix_of(source.name) not in JSON_LINES:
            raise UserError(f"{source.name}: this is not a .jsonl file. Write conversations as .jsonl.")
        with open_text(source, data.encoding, report) as pieces:
            for number, value in json_rows(pieces, source.name, report.reject):
                try:
                    found.append(parse_conversation(value, f"{source.name}:{number}"))
                except UserError as problem:
                    report.reject(problem)
    if len(found) < MIN_EXAMPLES:
        raise too_few(len(found), "conversations", report.notes())
    train, val = split_by_group(found, _user_messages, data.val_fraction)
    return ChatCorpus(train, val, report.notes())


def _user_messages(conversation: Conversation) -> str:
    contents = " ".join(m.content for m in conversation.messages if m.role == "user")
    return " ".join(contents.split()).casefold()


def parse_conversation(value: Any, where: str) -> Conversation:
    """Parse a conversation from a JSON object.

    White space around each message is removed. Raises UserError, with `where`, for an invalid conversation
    and for one without a reply.

    >>> messages = [{"role": "user", "content": "Hi "}, {"role": "assistant", "content": "Hello!"}]
    >>> [m.content for m in parse_conversation({"messages": messages}, "a.jsonl:1").messages]
    ['Hi', 'Hello!']
    """
    values = value.get("messages") if isinstance(value, dict) else None
    if not isinstance(values, list) or not values:
        raise UserError(f"{where}: no list of messages. Write {FORM}.")
    messages = tuple(_message(each, number, where) for number, each in enumerate(values, 1))
    if any(message.role == "system" for message in messages[1:]):
        raise UserError(f"{where}: a system message is not the first message. Put it first, or remove it.")
    if all(message.role != "assistant" for message in messages):
        raise UserError(f"{where}: the assistant says nothing. Add a reply, or remove the row.")
    return Conversation(messages, where)


def _message(value: Any, number: int, where: str) -> Message:
    parsed = parse_message(value)
    if parsed.role not in ROLES:
        raise UserError(
            f"{where}: message {number} has the role {str(parsed.role)[:40]!r}; the roles are "
            f"{', '.join(ROLES)}. Rename it, or remove the row."
        )
    content = replace_surrogates(parsed.text).strip()
    if not (content and parsed.is_text):
        raise UserError(
            f"{where}: message {number}, of the {parsed.role}, has no text. Fill it in, or remove the row."
        )
    return Message(parsed.role, content)
