"""Text from a terminal or from a pipe, also where its bytes are no text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple, TextIO

from glassgpt.errors import UserError

CONTINUATION = "\\"
"""At the end of a line: the message continues on the next line."""


class Line(NamedTuple):
    """A line of input, or several that were continued."""

    number: int
    """Number of its first line, from 1."""
    text: str


def check_bytes(text: str) -> None:
    """Raise UserError if bytes of an input were no text in its encoding.

    >>> check_bytes("caf\\udce9")
    Traceback (most recent call last):
    glassgpt.errors.UserError: byte 0xE9 is not valid UTF-8. Convert the input to UTF-8.
    """
    escaped = next((c for c in text if "\udc80" <= c <= "\udcff"), None)
    if escaped is not None:
        encoding = (getattr(sys.stdin, "encoding", None) or "utf-8").upper()
        raise UserError(
            "byte 0x{byte:02X} is not valid {encoding}. Convert the input to {encoding}.",
            byte=ord(escaped) - 0xDC00,
            encoding=encoding,
        )


def read_text(given: str) -> str:
    """Return a text argument; for `-`, all of standard input. Raises UserError for a wrong encoding."""
    if given != "-":
        return given
    lines = list(input_lines(sys.stdin))
    for line in lines:
        try:
            check_bytes(line.text)
        except UserError as problem:
            raise UserError(
                "standard input, line {number}: {problem}", number=line.number, problem=problem
            ) from problem
    return "\n".join(line.text for line in lines)


def read_lines(given: str) -> list[Line]:
    """Return a text argument as one line; for `-`, the lines of standard input."""
    return [Line(1, given)] if given != "-" else list(input_lines(sys.stdin))


def input_lines(stream: TextIO) -> Iterator[Line]:
    """Yield the lines of a stream without their ends."""
    for number, line in enumerate(stream, 1):
        yield Line(number, line.rstrip("\r\n"))


def terminal_messages(prompt: str, more: str) -> Iterator[str]:
    """Yield messages from a terminal, with readline's history and editing keys if available.

    A pasted text stays one message with its newlines, if the terminal supports bracketed paste. Ctrl-D ends
    the messages. `more` is the prompt of a continued line.
    """
    with suppress(ImportError):  # Windows has no readline; its console edits lines itself
        import readline

        readline.parse_and_bind("set enable-bracketed-paste on")
    yield from (line.text for line in join_lines(_typed_lines(prompt, more)))


def _typed_lines(prompt: str, more: str) -> Iterator[Line]:
    """Yield lines from the terminal until Ctrl-D."""
    next_prompt, number = prompt, 0
    with suppress(EOFError):
        while True:
            text = input(next_prompt)
            next_prompt, number = more if text.endswith(CONTINUATION) else prompt, number + 1
            yield Line(number, text)


def join_lines(lines: Iterator[Line]) -> Iterator[Line]:
    """Yield messages without surrounding white space. Skips empty messages.

    >>> [text for _, text in join_lines(map(Line, range(4), ["one", "", "two \\\\", "lines"]))]
    ['one', 'two \\nlines']
    """
    held: list[Line] = []
    for line in lines:
        held.append(line._replace(text=line.text.removesuffix(CONTINUATION)))
        if not line.text.endswith(CONTINUATION):
            yield from _message(held)
            held = []
    yield from _message(held)


def _message(held: list[Line]) -> Iterator[Line]:
    if text := "\n".join(line.text for line in held).strip():
        yield Line(held[0].number, text)
