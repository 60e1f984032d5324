"""Messages for a chat, from a terminal or from a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TextIO

from glassgpt.errors import UserError

CONTINUATION = "\\"
"""At the end of a line: the message continues on the next line."""


def terminal_messages(prompt: str, more: str, on_interrupt: Callable[[], None]) -> Iterator[str]:
    """Yield messages from a terminal, with readline's history and editing keys if available.

    A pasted text stays one message with its newlines, if the terminal supports bracketed paste. Ctrl-C calls
    `on_interrupt` and clears the line; Ctrl-D ends the messages. `more` is the prompt of a continued line.
    """
    with suppress(ImportError):  # Windows has no readline; its console edits lines itself
        import readline

        readline.parse_and_bind("set enable-bracketed-paste on")
    while True:
        try:
            yield from join_lines(_input_lines(prompt, more))
            return
        except KeyboardInterrupt:
            on_interrupt()


def _input_lines(prompt: str, more: str) -> Iterator[str]:
    """Yield lines from the terminal until Ctrl-D."""
    next_prompt = prompt
    with suppress(EOFError):
        while True:
            line = input(next_prompt)
            next_prompt = more if line.endswith(CONTINUATION) else prompt
            yield line


def piped_messages(stream: TextIO) -> Iterator[str]:
    """Yield messages from a pipe, one per line. Raises UserError for a wrong encoding."""
    try:
        yield from join_lines(line.rstrip("\r\n") for line in stream)
    except UnicodeDecodeError as error:
        raise UserError(
            f"standard input: not {error.encoding} ({error.reason}). Convert it to {error.encoding}."
        ) from error


def join_lines(lines: Iterator[str]) -> Iterator[str]:
    """Yield messages without surrounding white space. Skips empty messages.

    >>> list(join_lines(iter(["one", "", "two \\\\", "lines"])))
    ['one', 'two \\nlines']
    """
    held: list[str] = []
    for line in lines:
        held.append(line.removesuffix(CONTINUATION))
        if not line.endswith(CONTINUATION):
            if text := "\n".join(held).strip():
                yield text
            held = []
    if text := "\n".join(held).strip():
        yield text
