"""Messages as somebody types, pastes or pipes them. What becomes of them is talk.py's affair."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TextIO

from glassgpt.errors import UserError

GOES_ON = "\\"
"""At the end of a line: the message goes on in the next one."""


def typed(prompt: str, more: str, on_interrupt: Callable[[], None]) -> Iterator[str]:
    """Messages from a terminal, with a history and the editing keys of readline where there is one.

    A pasted text stays one message, its newlines included, where the terminal marks what is pasted. Ctrl-C
    empties the line, Ctrl-D ends.
    """
    with suppress(ImportError):  # Windows has none, and edits lines by itself
        import readline

        readline.parse_and_bind("set enable-bracketed-paste on")
    while True:
        try:
            yield from joined(_asked(prompt, more))
            return
        except KeyboardInterrupt:
            on_interrupt()


def _asked(prompt: str, more: str) -> Iterator[str]:
    shown = prompt
    with suppress(EOFError):
        while True:
            line = input(shown)
            shown = more if line.endswith(GOES_ON) else prompt
            yield line


def piped(stream: TextIO) -> Iterator[str]:
    """Messages from a pipe, one a line."""
    try:
        yield from joined(line.rstrip("\r\n") for line in stream)
    except UnicodeDecodeError as error:
        raise UserError(f"standard input is not {error.encoding} ({error.reason}); convert it") from error


def joined(lines: Iterator[str]) -> Iterator[str]:
    """Messages without white space around them; empty ones are passed over.

    >>> list(joined(iter(["one", "", "two \\\\", "lines"])))
    ['one', 'two \\nlines']
    """
    held: list[str] = []
    for line in lines:
        held.append(line.removesuffix(GOES_ON))
        if not line.endswith(GOES_ON):
            if text := "\n".join(held).strip():
                yield text
            held = []
    if text := "\n".join(held).strip():
        yield text
