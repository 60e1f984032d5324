"""Languages of the chapters: English in the code, others in gettext catalogs."""

from __future__ import annotations

import gettext
import os
from collections.abc import Callable
from pathlib import Path

from glassgpt.errors import UserError

Translate = Callable[[str], str]
"""Function from an English text to its translation."""
LOCALE = Path(__file__).parent / "locale"
DOMAIN = "chapters"
LANGUAGES = ("en", "zh")


def translator(language: str | None = None) -> Translate:
    """Return the translation into a language: `en`, `zh`, or by default that of the environment.

    Raises UserError for a language without a catalog.
    """
    language = language or preferred()
    if language not in LANGUAGES:
        raise UserError(f"there are no chapters in {language!r}. Choose one of {', '.join(LANGUAGES)}.")
    if language == "en":
        return lambda text: text
    return gettext.translation(DOMAIN, LOCALE, [language]).gettext


def preferred() -> str:
    """Return the language of LANGUAGE, LC_ALL, LC_MESSAGES or LANG, or English without a catalog."""
    names = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    wanted = next(filter(None, (os.environ.get(name) for name in names)), "en")
    return wanted[:2] if wanted[:2] in LANGUAGES else "en"
