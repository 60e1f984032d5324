"""Language of messages and chapters: English in the code, others in gettext catalogs.

A process has one language for its messages. The library starts in English. The command line takes the
language of `--lang`, or that of the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

__all__ = [
    "LANGUAGES",
    "N_",
    "Translate",
    "_",
    "language",
    "preferred",
    "set_language",
    "translator",
    "using",
]

Translate = Callable[[str], str]
"""Function from an English text to its translation."""

LOCALE = Path(__file__).parent / "locale"
DOMAINS = ("messages", "help", "chapters")
"""Catalogs, in the order of a look-up."""
LANGUAGES = ("en", "zh")
VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""Environment variables that choose a language; the first that is set decides."""

_language = "en"


def _(text: str, /, **values: object) -> str:
    """Return a text in the language of the process, with its values in place.

    Without values, braces stay as they are.

    >>> _("loss in {unit}: ", unit="nats")
    'loss in nats: '
    """
    said = translator(_language)(text)
    return said.format(**values) if values else said


def N_(text: str) -> str:
    """Mark a text for the catalog; `_` translates it where it is shown."""
    return text


def language() -> str:
    """Return the language of the process."""
    return _language


def set_language(language: str) -> None:
    """Choose the language of all messages from now on: `en` or `zh`.

    Raises ValueError for a language without a catalog.
    """
    global _language
    translator(language)
    _language = language


@contextmanager
def using(language: str) -> Iterator[None]:
    """Use a language inside the `with` block."""
    before = _language
    set_language(language)
    try:
        yield
    finally:
        set_language(before)


@cache
def translator(language: str) -> Translate:
    """Return the translation into a language. Raises ValueError for a language without a catalog."""
    if language == "en":
        return str
    if language not in LANGUAGES:
        raise ValueError(f"there are no texts in {language!r}. Choose one of {', '.join(LANGUAGES)}.")
    import gettext  # 4 ms that English does not need

    first, *more = (gettext.translation(domain, LOCALE, [language]) for domain in DOMAINS)
    for catalog in more:
        first.add_fallback(catalog)
    return first.gettext


def preferred() -> str:
    """Return the language of the environment, or English without a catalog for it."""
    wanted = next(filter(None, map(os.environ.get, VARIABLES)), "en")
    codes = (name[:2] for name in wanted.split(":"))
    return next((code for code in codes if code in LANGUAGES), "en")
