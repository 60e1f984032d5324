"""The exception for unusable input, and the messages that several packages share."""

from __future__ import annotations

from pathlib import Path

__all__ = ["UserError", "cannot_write", "missing_extra"]


class UserError(ValueError):
    """Unusable input. The message names the value, the limit and the remedy.

    The command line prints the message without a traceback and exits with 2. Any other exception is a bug.
    """


def missing_extra(extra: str, module: str) -> UserError:
    """Return the error for a module of an optional extra that is not installed.

    >>> print(missing_extra("plot", "matplotlib"))
    matplotlib is not installed: pip install 'glassgpt[plot]' (in a clone: '.[plot]')
    """
    return UserError(f"{module} is not installed: pip install 'glassgpt[{extra}]' (in a clone: '.[{extra}]')")


def cannot_write(path: Path, error: OSError) -> UserError:
    """Return the error for a run's folder that cannot be written to.

    >>> print(cannot_write(Path("notes"), OSError(13, "Permission denied")))
    notes cannot be written to (Permission denied). Choose a folder of your own with `out`.
    """
    return UserError(
        f"{path} cannot be written to ({error.strerror or error}). Choose a folder of your own with `out`."
    )
