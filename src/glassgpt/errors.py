"""The exception for unusable input, and the messages that several packages share."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from glassgpt.language import N_, _

__all__ = ["UserError", "cannot_write", "check_name", "command_line", "missing_extra", "shell_word"]


MAX_NAME = 255
"""Bytes of the name of a file or folder, at most, on most file systems."""


class UserError(ValueError):
    """Unusable input. The message names the value, the limit and the remedy.

    `message` has its values as fields in braces, so that the catalogs hold whole sentences; `str` gives it in
    the language of the process. The command line prints it without a traceback and exits with 2. Any other
    exception is a bug.

    >>> str(UserError("`steps`: {n} is too few.", n=0))
    '`steps`: 0 is too few.'
    """

    def __init__(self, message: str = "", /, **values: object) -> None:
        super().__init__(message)
        self.values = values

    def __str__(self) -> str:
        return _(self.args[0], **self.values)

    @property
    def message(self) -> str:
        """The message in English, which `_` translates where it is shown."""
        return N_(self.args[0], **self.values)


def missing_extra(extra: str, module: str) -> UserError:
    """Return the error for a module of an optional extra that is not installed.

    >>> print(missing_extra("plot", "matplotlib"))
    matplotlib is not installed: pip install 'glassgpt[plot]' (in a clone: '.[plot]')
    """
    return UserError(
        "{module} is not installed: pip install 'glassgpt[{extra}]' (in a clone: '.[{extra}]')",
        module=module,
        extra=extra,
    )


def cannot_write(path: Path, error: OSError) -> UserError:
    """Return the error for a run's folder that cannot be written to.

    >>> print(cannot_write(Path("notes"), OSError(13, "Permission denied")))
    notes cannot be written to (Permission denied). Choose a folder of your own with `out`.
    """
    return UserError(
        "{path} cannot be written to ({reason}). Choose a folder of your own with `out`.",
        path=path,
        reason=error.strerror or error,
    )


def check_name(path: Path) -> None:
    """Raise UserError if the name of a run's folder is too long, or no UTF-8, which safetensors needs."""
    if any(len(os.fsencode(part)) > MAX_NAME for part in path.parts):
        raise UserError(
            "{path}…: the name of this folder is too long. Give a shorter one.", path=str(path)[:60]
        )
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = str(path).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        raise UserError(
            "{shown}: the name of this folder is not UTF-8. Rename it, or enter it first.", shown=shown
        ) from error


def command_line(command: str, *words: Path | str) -> str:
    """Return a command of this program as a line that a shell can run.

    >>> command_line("resume", Path("my run"), "--steps", "200")
    "glassgpt resume 'my run' --steps 200"
    """
    quoted = (shell_word(word) if isinstance(word, Path) else shlex.quote(word) for word in words)
    return " ".join(["glassgpt", command, *quoted])


def shell_word(path: Path | str) -> str:
    """Return a path as one word of a shell's line, and never as an option.

    >>> shell_word("$(x)"), shell_word("-v")
    ("'$(x)'", './-v')
    """
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
