"""The one place through which the command line prints.

Text of files, runs and models may hold characters that a terminal obeys: escape sequences, or controls that
reverse or hide what follows. Everything printed passes through this module, which makes them visible.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper, UnsupportedOperation
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.status import Status
from rich.table import Table
from rich.text import Text

from glassgpt.cli.flags import with_flags
from glassgpt.language import _
from glassgpt.wrap import WideText, has_wide

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # bidirectional and zero-width
    "\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"  # annotations, tags, lone surrogates
)
"""Characters that a terminal obeys or hides. Joiners (U+200C, U+200D) stay: Persian and emoji need them."""

GONE = {errno.EPIPE, errno.ENOSPC, errno.EIO}
"""Errors of a stream that nobody reads, that a full disk holds, or whose terminal is gone."""


def printable(text: str) -> str:
    """Replace characters that a terminal obeys or hides by U+FFFD, except tab and newline.

    >>> printable("a\\x1b[31mb\\u202ec") == "a\\ufffd[31mb\\ufffdc"
    True
    """
    return UNSAFE.sub("\ufffd", text)


def shown(text: str) -> str:
    """Text for standard output: harmless on a terminal, exact in a file or pipe."""
    return printable(text) if sys.stdout is not None and sys.stdout.isatty() else text


@dataclass
class _Paragraph:
    """A string that `Terminal.render_str` renders; rich would join it to other text first."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield console.render_str(self.text)


class Terminal(Console):
    """Console of standard output. Strings are plain: no markup, no emoji codes, no control characters."""

    def __init__(
        self, file: TextIO | None = None, width: int | None = None, is_terminal: bool | None = None
    ) -> None:
        super().__init__(
            file=file,
            width=width,
            force_terminal=is_terminal,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a renderable, with printable text."""
        for segment in super().render(renderable, options):
            if segment.control is None and UNSAFE.search(segment.text):
                segment = Segment(printable(segment.text), segment.style)
            yield segment

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as renderable text: printable before its width is measured."""
        said = super().render_str(printable(text), **options)
        return WideText.assemble(said) if has_wide(text) else said

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects; a single string wraps between Chinese characters, too."""
        if len(objects) == 1 and isinstance(objects[0], str) and "end" not in options:
            objects = (_Paragraph(objects[0]),) if has_wide(objects[0]) else objects
        super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError again: rich would exit with 1."""
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output")

    def say(self, text: str, style: str = "") -> None:
        """Print a line without wrapping it, so that a command or a path can be copied."""
        self.print(text, style=style, soft_wrap=True)

    def notes(self, notes: Iterable[str]) -> None:
        """Print notes about the data or the run."""
        for note in notes:
            self.print(_("note: {note}", note=with_flags(note)), style="dim")

    def table(self, table: Table) -> None:
        """Print a table. In a file or pipe it is as wide as its content."""
        if self.is_terminal:
            self.print(table)
            return
        before, wide = self.width, self.options.update(width=10_000)
        self.width = max(before, Measurement.get(self, wide, table).maximum)
        self.print(table)
        self.width = before


def error_terminal() -> Terminal:
    """Return the console of standard error, for notes and progress."""
    return Terminal(sys.stderr)


def working(doing: str) -> Status:
    """Return a context that shows on a terminal what takes time; `update` changes the words.

    It writes to standard error, and nothing where that is no terminal.
    """
    return error_terminal().status(f"{_(doing)} …")


def print_text(text: str) -> None:
    """Write model text to standard output at once, exact in a file or pipe."""
    sys.stdout.write(shown(text))
    sys.stdout.flush()


def print_line(text: str = "") -> None:
    """Write a line of model text to standard output at once."""
    print_text(text + "\n")


def print_json(value: Any, indent: int | None = None) -> None:
    """Write a value as JSON to standard output at once. Unsafe characters are escaped, so nothing is lost.

    Other characters stay as they are, if the encoding of the output is UTF-8.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    ascii_only = encoding.lower().replace("_", "-") not in ("utf-8", "utf8")
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent, default=str)
    sys.stdout.write(UNSAFE.sub(_escape, text) + "\n")
    sys.stdout.flush()


def _escape(match: re.Match[str]) -> str:
    """Return the JSON escape of a character, in UTF-16 units."""
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def print_note(message: str) -> None:
    """Print a note on standard error."""
    _to_stderr(_("glassgpt: note: {note}\n", note=with_flags(message)))


def print_error(message: str) -> None:
    """Print an error message on standard error."""
    _to_stderr(f"glassgpt: {with_flags(message)}\n")


def print_hint(message: str) -> None:
    """Print a message about what to do next on standard error."""
    _to_stderr(f"{_(message)}\n")


def _to_stderr(text: str) -> None:
    with suppress(OSError):  # nobody is left to be told
        sys.stderr.write(printable(text))
        sys.stderr.flush()


def prepare_streams() -> None:
    """Make the standard streams safe to use, however they were opened.

    A closed stream becomes the null device: a file that opens later would take its number. A character that
    the output's encoding lacks becomes `?`. Bytes that are not text stay in the input, for its reader to
    name.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
    _on_error(sys.stdout, "replace")
    _on_error(sys.stdin, "surrogateescape")
    sys.excepthook = lambda *error: _to_stderr("".join(traceback.format_exception(*error)))


def _on_error(stream: TextIO, errors: str) -> None:
    if isinstance(stream, TextIOWrapper):  # a notebook or a test has streams of its own
        with suppress(UnsupportedOperation):  # somebody has read from it before
            stream.reconfigure(errors=errors)


def is_gone(error: OSError) -> bool:
    """True if an error says that an output stream takes no more text."""
    return error.errno in GONE and error.filename is None


def discard_output() -> None:
    """Send what is written to standard output from now on, and what is still buffered, to the null device."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):  # no file behind the stream
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
