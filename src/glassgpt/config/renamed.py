"""Old names of options and settings, and their new ones.

An old name raises an error with the new name. It never works silently: scripts would keep it forever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glassgpt.errors import UserError

FLAGS = {"--skip-bad": "--skip-invalid"}
"""Old flag → new flag."""

FLAG_VALUES = {("--view", "reading"): "logit-lens"}
"""(flag, old value) → new value."""

TABLES = {"tune": "init_from"}
"""Old table of a configuration → new table."""

FIELDS = {("data", "skip_bad"): "skip_invalid"}
"""(table, old field) → new field."""


def check_renamed(tables: Mapping[str, Any]) -> None:
    """Raise UserError if a configuration uses an old name. The message gives the new one.

    >>> check_renamed({"tune": {"run": "runs/notes"}})
    Traceback (most recent call last):
    glassgpt.errors.UserError: `tune` is now `init_from`: rename the table.
    """
    for old, new in TABLES.items():
        if old in tables:
            raise UserError("`{old}` is now `{new}`: rename the table.", old=old, new=new)
    for (table, old), new in FIELDS.items():
        fields = tables.get(table)
        if isinstance(fields, Mapping) and old in fields:
            raise UserError(
                "`[{table}] {old}` is now `[{table}] {new}`: rename the setting.",
                table=table,
                old=old,
                new=new,
            )


def check_renamed_flags(words: Sequence[str]) -> None:
    """Raise UserError if a command line uses an old flag or an old value of a flag.

    >>> check_renamed_flags(["train", "pairs.tsv", "--skip-bad"])
    Traceback (most recent call last):
    glassgpt.errors.UserError: --skip-bad is now --skip-invalid: use the new name.
    """
    for at, word in enumerate(words):
        flag, has_value, value = word.partition("=")
        if flag in FLAGS:
            raise UserError("{flag} is now {flags}: use the new name.", flag=flag, flags=FLAGS[flag])
        value = value if has_value else "".join(words[at + 1 : at + 2])
        if new := FLAG_VALUES.get((flag, value)):
            raise UserError(
                "{flag} {value} is now {flag} {new}: use the new name.", flag=flag, value=value, new=new
            )
