"""Exported chats to conversations: the messages of one person are those of the assistant.

A conversation is a part of a session, and a session ends with a pause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from glassgpt.data.examples.dialog import Conversation, Message
from glassgpt.data.examples.examples import MIN_EXAMPLES
from glassgpt.data.files import ChatLog, ChatMessage, Report, replace_surrogates
from glassgpt.errors import UserError
from glassgpt.language import N_

PAUSE = 4 * 3600
"""Seconds without a message that end a session."""
EXCHANGES = (8, 4, 2, 1)
"""Longest conversation in exchanges: the first number that gives MIN_EXAMPLES conversations."""

NAMES_SHOWN = 8


class Exchange(NamedTuple):
    """A user's message and the reply to it."""

    messages: tuple[Message, ...]
    n_messages: int
    """Number of messages in the log."""


def conversations_of(log: ChatLog, me: str | None, where: str, report: Report) -> list[Conversation]:
    """Make conversations of a log, in which `me` is the assistant and the others are the user.

    Consecutive messages of one side become one. If several others write, their names come first. Messages
    without a reply by `me` are left out; the report says how many. Raises UserError, with the names of the
    log, if `me` is none of them.
    """
    counts = Counter(message.author for message in log.messages)
    if me is None or me not in counts:
        raise _unknown(me, counts, log, where)
    names, alone = len(counts) > 2, len(counts) == 1
    parts = [[message] for message in log.messages] if alone else _sessions(log.messages)
    sessions = [list(_exchanges(part, me, names, alone)) for part in parts]
    n_used = sum(exchange.n_messages for session in sessions for exchange in session)
    report.note(_summary(log, n_used, me), where)
    return _in_parts(sessions, where)


def _sessions(messages: Sequence[ChatMessage]) -> Iterator[list[ChatMessage]]:
    session = list(messages[:1])
    for before, message in pairwise(messages):
        if before.at is not None and message.at is not None and message.at - before.at > PAUSE:
            yield session
            session = []
        session.append(message)
    yield session


def _exchanges(session: Sequence[ChatMessage], me: str, names: bool, alone: bool) -> Iterator[Exchange]:
    """Yield messages of the others with the reply by `me`; if `me` is alone, replies to nothing."""
    asked, replies = list[ChatMessage](), list[ChatMessage]()
    for message in session:
        if replies and message.author != me:
            yield _exchange(asked, replies, names)
            asked, replies = [], []
        if message.author != me:
            asked.append(message)
        elif asked or alone:
            replies.append(message)
    if replies:
        yield _exchange(asked, replies, names)


def _exchange(asked: list[ChatMessage], replies: list[ChatMessage], names: bool) -> Exchange:
    question = "\n".join(f"{m.author}: {m.text}" if names else m.text for m in asked)
    answer = "\n".join(message.text for message in replies)
    messages = [
        Message("user", replace_surrogates(question)),
        Message("assistant", replace_surrogates(answer)),
    ]
    return Exchange(tuple(messages[not asked :]), len(asked) + len(replies))


def _in_parts(sessions: list[list[Exchange]], where: str) -> list[Conversation]:
    """Cut sessions into conversations of at most so many exchanges that there are enough of them."""
    parts = list[list[Exchange]]()
    for size in EXCHANGES:
        parts = [session[i : i + size] for session in sessions for i in range(0, len(session), size)]
        if len(parts) >= MIN_EXAMPLES:
            break
    return [Conversation(tuple(m for each in part for m in each.messages), where) for part in parts]


def _summary(log: ChatLog, n_used: int, me: str) -> str:
    """Count every message of a log."""
    unused = len(log.messages) - n_used
    return N_(
        "{kind}, {n_messages:,} messages: {n_used:,} used to learn what {me} says, "
        "{unused:,} without a reply, {n_dropped:,} from the system or without text",
        kind=log.kind,
        n_messages=len(log.messages) + log.n_dropped,
        n_used=n_used,
        me=me,
        unused=unused,
        n_dropped=log.n_dropped,
    )


def _unknown(me: str | None, counts: Counter[str], log: ChatLog, where: str) -> UserError:
    names = [f"{name} ({n:,})" for name, n in counts.most_common(NAMES_SHOWN)]
    listed = ", ".join([*names, *(["…"] if len(counts) > NAMES_SHOWN else [])])
    problem = (
        N_("nobody is called {me!r} in this {kind} chat of", me=me, kind=log.kind)
        if me
        else N_("this is a {kind} chat of", kind=log.kind)
    )
    return UserError(
        "{where}: {problem} {listed}. Set `me` to the name whose messages are learned, or `task` to "
        "language to learn it as running text.",
        where=where,
        problem=problem,
        listed=listed or "nobody",
    )
