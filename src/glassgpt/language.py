"""Language of messages and chapters: English in the code, others in gettext catalogs.

A process has one language for its messages. The library starts in English. The command line takes the
language of `--lang`, or that of the environment. Texts of `N_` are English in files and in JSON; `_`
translates them where they are shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Self

__all__ = [
    "LANGUAGES",
    "N_",
    "Translate",
    "_",
    "answering_in",
    "clipped",
    "join_texts",
    "language",
    "pack_text",
    "preferred",
    "restored",
    "set_language",
    "translator",
    "unpack_text",
    "using",
    "verbatim",
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
_of_request: ContextVar[str | None] = ContextVar("language", default=None)


class Translatable(str):
    """A text in English that knows its template and values, so that `_` can translate it."""

    template: str
    values: dict[str, object]
    clip: Callable[[str], str] = str
    """Function that shortens the text, in each language."""

    def __new__(cls, template: str, /, **values: object) -> Self:
        text = super().__new__(cls, template.format(**values) if values else template)
        text.template, text.values = template, values
        return text


def clipped(text: str, clip: Callable[[str], str]) -> str:
    """Shorten a text of `N_` by a function that knows each language.

    >>> clipped(N_("a.csv: {problem}. Fill it in.", problem="no label"), lambda text: text.split(". ")[0])
    'a.csv: no label'
    """
    if not isinstance(text, Translatable):
        return clip(text)
    short = str.__new__(Translatable, clip(text))
    short.template, short.values, short.clip = text.template, text.values, lambda said: clip(text.clip(said))
    return short


def restored(text: str, templates: Iterable[str]) -> str:
    """Return a text from a file as one that `_` can translate, if it follows one of some templates of `N_`.

    >>> restored("3,000 of 5 rows", [N_("{n:,} of {n_all} rows")]).values
    {'n': 3000, 'n_all': 5}
    """
    for template in templates:
        pattern = re.sub(r"\\\{(\w+):[^}]*\}", r"(?P<\1>[\\d,]+)", re.escape(template))  # a number
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", pattern)
        if match := re.fullmatch(pattern, text, re.DOTALL):
            return Translatable(template, **{name: _value(said) for name, said in match.groupdict().items()})
    return text


def pack_text(text: object) -> object:
    """Return a text of `N_` as a value for JSON that `unpack_text` can translate; others as they are."""
    if not isinstance(text, Translatable) or not text.values:
        return text
    values = {name: pack_text(value) for name, value in text.values.items()}
    return {"text": str(text), "template": text.template, "values": values}


def unpack_text(stored: object) -> object:
    """Return what `pack_text` was given, or the English text if its template is none of ours."""
    match stored:
        case {"text": str(text), "template": str(template), "values": dict(values)}:
            if translator("zh")(template) == template:
                return text  # a format string of a stranger is not executed
            try:
                return Translatable(
                    template, **{str(name): unpack_text(each) for name, each in values.items()}
                )
            except (ValueError, KeyError, TypeError, IndexError):
                return text
        case str():
            return Translatable(stored)
    return stored


def _value(said: str) -> object:
    """Return the number in a text, or the text."""
    digits = said.replace(",", "")
    return int(digits) if digits.isdecimal() else Translatable(said)


def join_texts(separator: str, texts: Iterable[str]) -> str:
    """Join texts of `N_` to one that `_` can translate, the separator included.

    >>> join_texts(", ", [N_("{n} lines", n=2), "3 words"])
    '2 lines, 3 words'
    """
    values: dict[str, object] = {f"text_{i}": text for i, text in enumerate(texts)}
    fields = (f"{{{name}}}" for name in values)
    return Translatable("{between}".join(fields), between=Translatable(separator), **values)


def _(text: str, /, **values: object) -> str:
    """Return a text in the language of the process, with its values in place.

    Without values, braces stay as they are. Values of `N_` are translated, too.

    >>> _("loss in {unit}: ", unit="nats")
    'loss in nats: '
    """
    clip = str
    if isinstance(text, Translatable):
        text, values, clip = text.template, text.values | values, text.clip
    said = translator(language())(text) if text else ""  # gettext has its header under ""
    return clip(said.format(**{name: _spoken(value) for name, value in values.items()}) if values else said)


def _spoken(value: object) -> object:
    return _(value) if isinstance(value, Translatable) else value


def N_(text: str, /, **values: object) -> str:
    """Return a text in English, with its values in place, that `_` translates where it is shown.

    >>> N_("loss in {unit}", unit="nats")
    'loss in nats'
    """
    return text if isinstance(text, Translatable) and not values else Translatable(text, **values)


def verbatim(text: str) -> str:
    """Return a text that `_` leaves as it is: a name that somebody chose may be a word of a catalog.

    >>> _(verbatim("rows"))
    'rows'
    """
    return Translatable("{text}", text=text)


def language() -> str:
    """Return the language of this request of a server, or of the process."""
    return _of_request.get() or _language


def set_language(language: str) -> None:
    """Choose the language of all messages from now on: `en` or `zh`.

    Raises ValueError for a language without a catalog.
    """
    global _language
    translator(language)
    _language = language


@contextmanager
def using(language: str) -> Iterator[None]:
    """Use a language inside the `with` block, in all threads."""
    before = _language
    set_language(language)
    try:
        yield
    finally:
        set_language(before)


@contextmanager
def answering_in(language: str) -> Iterator[None]:
    """Use a language inside the `with` block for one request only: others have theirs at the same time."""
    token = _of_request.set(language)
    try:
        yield
    finally:
        _of_request.reset(token)


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
