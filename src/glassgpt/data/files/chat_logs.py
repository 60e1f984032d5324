"""Exported chats of people: WhatsApp text, and the JSON of Telegram and Discord.

A log names the author of each message. sessions.py makes conversations of it. Conversations whose messages
have roles (user, assistant) are not logs, see messages.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from glassgpt.data.files.messages import parse_message
from glassgpt.data.files.records import lines_of
from glassgpt.data.files.report import Report
from glassgpt.language import N_

WHATSAPP = re.compile(
    r"\u200e?\[?(?P<date>\d{1,4}[./-]\d{1,2}[./-]\d{1,4}),?[ \u202f](?P<time>\d{1,2}[:.]\d{2}(?:[:.]\d{2})?)"
    r"(?:[ \u202f]?(?P<half>[AaPp])\.?[ \u202f]?[Mm]\.?)?(?:\]| -)[ \u202f]"
    r"(?:(?P<author>[^:\n]{1,80}?): )?(?P<text>.*)"
)
MEDIA = re.compile(r"<[^<>]*>")
"""Placeholder of a file that was left out of the export."""
FIRST_LINES = 20
"""Lines that tell an exported chat from other text."""
SPOKEN = frozenset({"message", "Default", "Reply"})
"""Types of messages that people wrote; others say who joined, called or pinned."""


class ChatMessage(NamedTuple):
    """One message of a person."""

    author: str
    text: str
    at: float | None
    """Seconds since 1970 in an unknown time zone; None if unknown."""


@dataclass
class ChatLog:
    """The messages of one exported chat, in order."""

    kind: str
    """Name of the program."""
    messages: list[ChatMessage]
    n_dropped: int = 0
    """Number of system messages, and of files without text."""

    def text(self) -> str:
        """Return the log as running text: name, colon and text of each message."""
        return "\n".join(f"{message.author}: {message.text}" for message in self.messages)


def is_whatsapp(lines: Iterable[str]) -> bool:
    """True if the first lines are those of an exported WhatsApp chat: most begin with a date and a time."""
    lines = [line for line in lines if line.strip()]
    dated = [match for line in lines if (match := WHATSAPP.match(line))]
    return bool(dated) and 2 * len(dated) > len(lines) and any(match["author"] for match in dated)


def parse_whatsapp(lines: Iterable[str]) -> ChatLog:
    """Parse an exported WhatsApp chat. Lines without a date continue the message before them.

    >>> log = parse_whatsapp(["[31.12.23, 23:59:00] Ana: Happy\\n", "new year!\\n", "1/1/24, 0:01 - Bo: Hi"])
    >>> [(message.author, message.text) for message in log.messages]
    [('Ana', 'Happy\\nnew year!'), ('Bo', 'Hi')]
    """
    found, n_before = list[tuple[re.Match[str], list[str]]](), 0
    for line in lines:
        line = line.rstrip("\r\n")
        if match := WHATSAPP.match(line):
            found.append((match, [match["text"]]))
        elif found:
            found[-1][1].append(line)
        else:
            n_before += bool(line.strip())
    month_first = _month_is_first([match["date"] for match, _ in found])
    log = ChatLog("WhatsApp", [], n_before)
    for match, texts in found:
        text = "\n".join(texts)
        if (
            match["author"] is None
            or text.startswith("\u200e")
            or MEDIA.fullmatch(text.strip())
            or not text.strip()
        ):
            log.n_dropped += 1
        else:
            author = match["author"].strip("\u200e\u202a\u202c~ \u202f")
            at = _whatsapp_time(match, month_first)
            log.messages.append(ChatMessage(author, text.replace("\u200e", ""), at))
    return log


def without_dates(pieces: Iterator[str], name: str, report: Report) -> Iterator[str]:
    """Yield running text unchanged, but an exported WhatsApp chat as names and texts."""
    start = ""
    for piece in pieces:
        start += piece
        if start.count("\n") >= FIRST_LINES:
            break
    if is_whatsapp(start.split("\n")[:FIRST_LINES]):
        log = parse_whatsapp(lines_of(chain([start], pieces), name))
        report.note(
            N_(
                "{kind} chat read as name: text, {n_dropped:,} messages without text left out",
                kind=log.kind,
                n_dropped=log.n_dropped,
            ),
            name,
        )
        yield log.text()
    else:
        yield start
        yield from pieces


def _month_is_first(dates: list[str]) -> bool:
    """True if some date has a second number that can only be a day, and none a first one."""
    numbers = [list(map(int, re.split(r"[./-]", date))) for date in dates]
    return any(n[1] > 12 for n in numbers) and not any(31 >= n[0] > 12 for n in numbers)


def _whatsapp_time(match: re.Match[str], month_first: bool) -> float | None:
    first, second, third = map(int, re.split(r"[./-]", match["date"]))
    hour, minute, second_of_minute, *_ = [*map(int, re.split(r"[:.]", match["time"])), 0]
    if match["half"]:
        hour = hour % 12 + 12 * (match["half"] in "pP")
    if first > 31:
        year, month, day = first, second, third
    else:
        day, month = (second, first) if month_first else (first, second)
        year = third + 2000 if third < 100 else third
    try:
        return datetime(year, month, day, hour, minute, second_of_minute).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def parse_exports(value: Any) -> list[ChatLog]:
    """Return the logs in a JSON value of Telegram (one chat, or all of an account) or Discord; else none.

    >>> message = {"type": "message", "from": "Ana", "text": ["Hi ", {"type": "bold", "text": "you"}]}
    >>> parse_exports({"messages": [message]})[0].messages
    [ChatMessage(author='Ana', text='Hi you', at=None)]
    """
    if not isinstance(value, dict):
        return []
    chats = value.get("chats")
    listed = chats.get("list") if isinstance(chats, dict) else None
    return [log for each in (listed if isinstance(listed, list) else [value]) for log in _one_export(each)]


def _one_export(value: Any) -> Iterator[ChatLog]:
    values = value.get("messages") if isinstance(value, dict) else None
    listed = values if isinstance(values, list) else []
    values = [each for each in listed if isinstance(each, dict)]
    n_dropped = len(listed) - len(values)
    if any(isinstance(each.get("author"), dict) for each in values):
        yield _log("Discord", values, n_dropped)
    elif any("from" in each and each.get("type") in ("message", "service") for each in values):
        yield _log("Telegram", values, n_dropped)


def _log(kind: str, values: list[dict[str, Any]], n_dropped: int) -> ChatLog:
    log = ChatLog(kind, [], n_dropped)
    for value in values:
        author, text, _ = parse_message(value)
        if isinstance(author, str) and text.strip() and value.get("type", "Default") in SPOKEN:
            log.messages.append(ChatMessage(author, text.strip(), _time(value)))
        else:
            log.n_dropped += 1
    return log


def _time(value: dict[str, Any]) -> float | None:
    try:
        seconds = value.get("date_unixtime")
        return (
            float(seconds)
            if seconds
            else datetime.fromisoformat(value.get("date") or value["timestamp"]).timestamp()
        )
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None
