"""Text of mails (.eml, .mbox): subject and body, without headers, attachments and quoted replies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import default
from typing import BinaryIO, cast

from glassgpt.data.files.budget import UnpackBudget
from glassgpt.data.files.html import html_text
from glassgpt.data.files.report import Report
from glassgpt.data.files.unreadable import NotText

MAX_MAIL = 64 << 20
"""Limit of one mail in bytes, with its attachments; it is held in RAM."""
STARTS = re.compile(rb"From \S+.*\d\d:\d\d")
"""The line before a mail: sender and date."""
ESCAPED = re.compile(rb"^>(>*From )")
"""A line of text that would look like the start of a mail."""
QUOTED = re.compile(r"^>.*\n?", re.M)
"""A line of a mail that is answered."""
INTRODUCES = re.compile(r"^[^\n]{0,200}(?:wrote|schrieb|écrit|escribió|写道)\s?[:：]\s*\Z", re.M)
"""The line before a quoted mail that ends the text."""


def read_eml(stream: BinaryIO, name: str, budget: UnpackBudget) -> Iterator[str]:
    """Yield the text of one mail. Raises NotText for a file that is no mail, or has no text."""
    if text := _text(_limited(stream.read(MAX_MAIL + 1), name), name):
        yield text
    else:
        raise NotText("{name}: this mail has no text. Leave it out.", name=name)


def read_mbox(stream: BinaryIO, name: str, report: Report) -> Iterator[str]:
    """Yield the text of each mail of a mailbox, with blank lines between them.

    Mails without text are counted in the report. Raises NotText for a file that is no mailbox. Source: RFC
    4155 (a mail begins with a `From ` line), and the escapes of mboxrd.
    """
    between = ""
    for number, mail in enumerate(_mails(stream, name), 1):
        if text := _text(mail, name):
            yield between + text
            between = "\n\n"
        else:
            problem = NotText("{name}, mail {number}: no text. Leave it out.", name=name, number=number)
            report.skip(problem)
    if not between:
        raise NotText("{name}: it has no mails with text. Leave it out.", name=name)


def _mails(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the bytes of each mail, without its `From ` line."""
    lines: list[bytes] = []
    n_bytes, is_blank = 0, True
    if not STARTS.match(stream.readline()):
        raise NotText("{name}: this is no mailbox. Give it the ending of its format.", name=name)
    for line in stream:
        if is_blank and STARTS.match(line):
            yield b"".join(lines)
            lines, n_bytes = [], 0
        else:
            lines.append(ESCAPED.sub(rb"\1", line))
            n_bytes += len(line)
            if n_bytes > MAX_MAIL:
                _limited(b"".join(lines), name)
        is_blank = not line.strip()
    yield b"".join(lines)


def _limited(mail: bytes, name: str) -> bytes:
    if len(mail) > MAX_MAIL:
        raise NotText(
            "{name}: a mail has more than {limit:,} bytes. Leave it out.", name=name, limit=MAX_MAIL
        )
    return mail


def _text(mail: bytes, name: str) -> str:
    """Return subject and body of a mail; empty without a body.

    >>> _text(b"Subject: Tea\\n\\nAt five?\\n\\nAnn wrote:\\n> When?\\n", "a.eml")
    'Tea\\n\\nAt five?'
    """
    message = cast(EmailMessage, message_from_bytes(mail, policy=default))
    subject = " ".join(str(message.get("subject", "")).split())
    body = message.get_body(("plain", "html"))
    content = "" if body is None else _content(body)
    if body is not None and body.get_content_subtype() == "html":
        content = html_text(content)
    own = INTRODUCES.sub("", QUOTED.sub("", content.replace("\r\n", "\n")).rstrip()).strip()
    return f"{subject}\n\n{own}" if subject and own else own


def _content(body: MIMEPart) -> str:
    """Return the text of a part, also of one with an unknown encoding."""
    try:
        return body.get_content()
    except (LookupError, ValueError):
        return cast(bytes, body.get_payload(decode=True)).decode("utf-8", "replace")
