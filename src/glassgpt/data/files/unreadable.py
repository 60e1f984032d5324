"""The error for a file without usable text, and the boundary at which every reader's error becomes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from glassgpt.errors import UserError


class NotText(UserError):
    """A file without usable text: an error if the user named it, a note if it was in a folder."""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn every exception of a reader into NotText, so that one bad file cannot end a whole folder.

    name: the file, for exceptions that do not name it. A UserError keeps its message.

    >>> with reading("a.gz"):  # doctest: +IGNORE_EXCEPTION_DETAIL
    ...     raise EOFError("it ended early")
    Traceback (most recent call last):
    NotText: a.gz: the file is damaged (it ended early). Download or save it again.
    """
    try:
        yield
    except NotText:
        raise
    except UserError as problem:
        raise NotText(str(problem)) from problem
    except OSError as error:
        if error.strerror is None:  # raised by a module: the file itself was read
            raise _damaged(name, error) from error
        raise NotText(
            "{name}: the file cannot be read ({strerror}). Check its permissions and its disk.",
            name=name,
            strerror=error.strerror,
        ) from error
    except Exception as error:  # readers of rich formats raise nearly anything for a malformed file
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> NotText:
    reason = str(error).split("\n")[0] or type(error).__name__
    return NotText(
        "{name}: the file is damaged ({reason}). Download or save it again.", name=name, reason=reason
    )


def readable(pieces: Iterator[str], name: str) -> Iterator[str]:
    """Yield chunks of text; an exception of their reader becomes NotText, see `reading`."""
    with reading(name):
        yield from pieces
