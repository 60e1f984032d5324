"""Conversations from jsonl and json, with roles or prompts, and from the exports of chat programs.

batches/chat_template.py encodes them as tokens. files/rows.py reads the same files as running text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from glassgpt.config import DataConfig
from glassgpt.data.examples.dialog import ROLES, Conversation, Message
from glassgpt.data.examples.examples import MIN_EXAMPLES, split_by_group, too_few
from glassgpt.data.examples.prompts import PROMPT_NAMES, with_input
from glassgpt.data.examples.sessions import conversations_of
from glassgpt.data.examples.table import JSON_LINES, open_text
from glassgpt.data.files import (
    Report,
    Source,
    field_text,
    is_whatsapp,
    json_rows,
    lines_of,
    parse_exports,
    parse_message,
    parse_whatsapp,
    replace_surrogates,
    resolve_sources,
    suffix_of,
)
from glassgpt.errors import UserError

CHAT_LINES = 20
"""Lines that tell an exported chat from other text."""
JSON = JSON_LINES | {".json"}
FORM = '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'


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
    """Return True if all sources look like conversations.

    These are json and jsonl whose first object has messages or a prompt with its reply, and exports of chat
    programs. An object with a `text` too is running text; so are all sources if `column` is set.
    """
    if data.column:
        return False
    found = resolve_sources(data.sources, data.follow_links)
    return bool(found) and all(_looks_like_chat(source, data.encoding) for source in found)


def _looks_like_chat(source: Source, encoding: str | None) -> bool:
    suffix = suffix_of(source.name)
    try:
        if suffix in JSON:
            first = _first_object(source, encoding)
            return bool(parse_exports(first)) or ("text" not in first and _message_values(first) is not None)
        # A pipe can be read only once.
        return (
            suffix == ".txt" and Path(source.name).is_file() and is_whatsapp(_first_lines(source, encoding))
        )
    except UserError:  # no text: the reader of running text says so
        return False


def _first_object(source: Source, encoding: str | None) -> dict[str, Any]:
    with open_text(source, encoding, Report()) as pieces:
        rows = json_rows(pieces, source.name, on_bad=lambda _: None)
        return next((value for _, value in rows if isinstance(value, dict)), {})


def _first_lines(source: Source, encoding: str | None) -> list[str]:
    with open_text(source, encoding, Report()) as pieces:
        return list(islice(lines_of(pieces, source.name), CHAT_LINES))


def read_chat(data: DataConfig) -> ChatCorpus:
    """Read conversations and split them.

    data.me: the person whose messages are learned from an exported chat. Conversations with the same user
    messages share a split. Raises UserError for the first invalid row unless `skip_invalid`, for exports
    without `me`, and for fewer than MIN_EXAMPLES conversations.
    """
    report, found = Report(data.skip_invalid), list[Conversation]()
    for source in resolve_sources(data.sources, data.follow_links):
        read = _read_json if suffix_of(source.name) in JSON else _read_text
        found += read(source, data, report)
    if len(found) < MIN_EXAMPLES:
        raise too_few(len(found), "conversations", report.notes())
    train, val = split_by_group(found, _user_messages, data.val_fraction)
    return ChatCorpus(train, val, report.notes())


def _read_text(source: Source, data: DataConfig, report: Report) -> list[Conversation]:
    with open_text(source, data.encoding, report) as pieces:
        log = parse_whatsapp(lines_of(pieces, source.name))
    if not log.messages:
        raise UserError(
            "{name}: this is no conversation. Write conversations as .jsonl, or give the export of a chat "
            "program.",
            name=source.name,
        )
    return conversations_of(log, data.me, source.name, report)


def _read_json(source: Source, data: DataConfig, report: Report) -> Iterator[Conversation]:
    with open_text(source, data.encoding, report) as pieces:
        for number, value in json_rows(pieces, source.name, report.reject):
            if logs := parse_exports(value):
                for log in logs:
                    yield from conversations_of(log, data.me, source.name, report)
                continue
            try:
                yield parse_conversation(value, f"{source.name}:{number}")
            except UserError as problem:
                report.reject(problem)


def _user_messages(conversation: Conversation) -> str:
    messages = [m for m in conversation.messages if m.role == "user"] or conversation.messages
    contents = " ".join(message.content for message in messages)
    return " ".join(contents.split()).casefold()


def parse_conversation(value: Any, where: str) -> Conversation:
    """Parse a conversation from a JSON object.

    White space around each message is removed. Raises UserError, with `where`, for an invalid conversation
    and for one without a reply.

    >>> messages = [{"role": "user", "content": "Hi "}, {"role": "assistant", "content": "Hello!"}]
    >>> [m.content for m in parse_conversation({"messages": messages}, "a.jsonl:1").messages]
    ['Hi', 'Hello!']
    """
    values = _message_values(value)
    if not isinstance(values, list) or not values:
        raise UserError("{where}: no list of messages. Write {form}.", where=where, form=FORM)
    messages = tuple(_message(each, number, where) for number, each in enumerate(values, 1))
    if any(message.role == "system" for message in messages[1:]):
        raise UserError(
            "{where}: a system message is not the first message. Put it first, or remove it.", where=where
        )
    if all(message.role != "assistant" for message in messages):
        raise UserError("{where}: the assistant says nothing. Add a reply, or remove the row.", where=where)
    return Conversation(messages, where)


def _message_values(value: Any) -> Any:
    """Return the messages of an object: a list of them, a prompt with its reply, or a tree; else None."""
    if not isinstance(value, dict):
        return None
    for name in ("messages", "conversations", "conversation"):
        if name in value:
            return value[name]
    if isinstance(value.get("mapping"), dict):
        return _branch(value["mapping"], value.get("current_node"))
    texts = {name: text for name, field in value.items() if (text := field_text(field)) is not None}
    for prompt, answer in PROMPT_NAMES:
        if prompt in texts and answer in texts:
            contents = with_input(texts)[prompt], texts[answer]
            return [
                {"role": role, "content": content}
                for role, content in zip(("user", "assistant"), contents, strict=True)
            ]
    return None


def _branch(nodes: dict[str, Any], name: Any) -> list[Any]:
    """Return the messages with text from the root of ChatGPT's tree to a node."""
    found, seen = list[Any](), set[str]()
    while isinstance(name, str) and name not in seen and isinstance(node := nodes.get(name), dict):
        seen.add(name)
        if parse_message(node.get("message")).text.strip():
            found.append(node["message"])
        name = node.get("parent")
    return found[::-1]


def _message(value: Any, number: int, where: str) -> Message:
    parsed = parse_message(value)
    if parsed.role not in ROLES:
        raise UserError(
            "{where}: message {number} has the role {role!r}; the roles are {roles}. Rename it, or remove "
            "the row.",
            where=where,
            number=number,
            role=str(parsed.role)[:40],
            roles=", ".join(ROLES),
        )
    content = replace_surrogates(parsed.text).strip()
    if not (content and parsed.is_text):
        raise UserError(
            "{where}: message {number}, of the {role}, has no text. Fill it in, or remove the row.",
            where=where,
            number=number,
            role=parsed.role,
        )
    return Message(parsed.role, content)
