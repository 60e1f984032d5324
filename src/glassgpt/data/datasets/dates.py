"""The dataset `dates`: generated dates in the formats of 16 locales, to be translated to ISO 8601.

The formats come from the CLDR data in Babel, read once per field and locale. This is not a date parser, and
it knows the Gregorian calendar only.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Literal, get_args

from glassgpt.data.examples import Example, ExampleCorpus
from glassgpt.errors import UserError, missing_extra

Style = Literal["full", "long", "medium", "short", "yMMMd", "yMMMEd", "yMd", "yMEd"]
"""CLDR's names: four lengths, then four skeletons (MMM: the month's name, E: with the weekday)."""

STYLES: tuple[Style, ...] = get_args(Style)
LOCALES = tuple("en_US en_GB de fr es it pt nl ru pl tr zh ja ko ar hi".split())
NATIVE_DIGITS = {"ar": "٠١٢٣٤٥٦٧٨٩", "hi": "०१२३४५६७८९"}
"""Digits of a locale that replace 0 to 9 one for one. Babel itself writes 0 to 9 only."""

FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)
"""A hundred years, so two digits identify a year."""

DATE_FIELDS = {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}
"""Position of each field in an ISO date: `2024-03-14`."""

N_TRAIN, N_VAL, N_TEST = 100_000, 2_000, 2_000

PARTS = "yMdE"
MONTH = PARTS.index("M")
STAND_ALONE = str.maketrans("Lc", "ME")
"""Replaces CLDR's stand-alone names by those used within a date. Babel 2.18 may return stand-alone names of
another locale, the first one requested (Japanese months in Chinese)."""

# Together they contain each day of the month, weekday, month and year.
_SAMPLE = [date(2021, 1, n) for n in range(1, 32)] + [date(y, 1 + y % 12, 1) for y in range(1950, 2050)]

Pattern = tuple[list[tuple[str, int, dict[int, str]]], str]
"""Fields (the text before, the index in PARTS, the texts by value), and the text after the last field."""


@dataclass(frozen=True, slots=True)
class Written:
    """A date as the source of an example."""

    text: str
    month: slice
    """Position of the month's name or number in `text`."""


def make_dates(seed: int = 0) -> ExampleCorpus:
    """Make 100,000 training examples (about 1 % repeats), 2,000 each for val and test, in a second.

    The splits share no day: they have 80, 10 and 10 % of the days, the same for each seed. So a test day is
    new to every model trained on this dataset. The seed decides the form of each day. Within a split, locales
    alternate, and so do the forms of each locale.

    Raises UserError if Babel is missing.
    """
    train, val, _ = _split_days()
    return ExampleCorpus(
        train=[example for example, _ in _draw(train, N_TRAIN, random.Random(f"{seed} train"))],
        val=[example for example, _ in _draw(val, N_VAL, random.Random(f"{seed} val"))],
        test=[example for example, _ in located_test_dates(seed)],
    )


def located_test_dates(seed: int = 0) -> list[tuple[Example, slice]]:
    """Return the examples of `make_dates(seed).test`, each with the position of its month."""
    test = _split_days()[2]
    return _draw(test, N_TEST, random.Random(f"{seed} test"))


def written_date(day: date, locale: str, style: Style, native_digits: bool = False) -> Written:
    """Write a day from 1950 to 2049 in a locale's style, after the locale's tag.

    Raises UserError for other days, unknown locales or styles, and native digits in a locale without them.

    >>> written = written_date(date(2021, 3, 14), "de", "long")
    >>> written.text, written.text[written.month]
    ('de: 14. März 2021', 'März')
    """
    if not FIRST <= day <= LAST:
        raise UserError(
            "{day}: the range is {first} to {last}, so that two digits identify a year. Choose a day inside.",
            day=day,
            first=FIRST,
            last=LAST,
        )
    fields, end = _pattern(locale, style, native_digits)
    parts = _parts(day)
    text, month = "", slice(0)
    for before, part, texts in fields:
        text += before
        start = len(text)
        text += texts[parts[part]]
        if part == MONTH:
            month = slice(start, len(text))
    return Written(text + end, month)


@cache
def forms(locale: str) -> tuple[tuple[Style, bool], ...]:
    """List the distinct forms of a locale: styles, without and with native digits.

    In most locales some styles share a pattern.

    >>> [style for style, _ in forms("zh")]
    ['full', 'long', 'short', 'yMMMEd', 'yMEd']
    """
    patterns: list[Pattern] = []
    distinct: list[tuple[Style, bool]] = []
    for native_digits in (False, True) if locale in NATIVE_DIGITS else (False,):
        for style in STYLES:
            pattern = _pattern(locale, style, native_digits)
            if pattern not in patterns:
                patterns.append(pattern)
                distinct.append((style, native_digits))
    return tuple(distinct)


def _draw(days: Sequence[date], count: int, rng: random.Random) -> list[tuple[Example, slice]]:
    """Draw days in random order without repeats until all are used; locales and forms alternate."""
    drawn = []
    order: list[date] = []
    for i in range(count):
        order = order or rng.sample(days, len(days))
        day, locale = order.pop(), LOCALES[i % len(LOCALES)]
        style, native_digits = forms(locale)[i // len(LOCALES) % len(forms(locale))]
        written = written_date(day, locale, style, native_digits)
        drawn.append((Example(day.isoformat(), written.text), written.month))
    return drawn


@cache
def _split_days() -> tuple[list[date], list[date], list[date]]:
    """Split the days into train, val and test by the SHA-256 of their ISO form, for every seed alike."""
    days = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]
    days.sort(key=lambda day: hashlib.sha256(day.isoformat().encode()).digest())
    tenth = len(days) // 10
    return days[2 * tenth :], days[tenth : 2 * tenth], days[:tenth]


@cache
def _pattern(locale: str, style: Style, native_digits: bool) -> Pattern:
    """Return CLDR's pattern with the texts of all values of each field, after the locale's tag."""
    if locale not in LOCALES:
        raise UserError(
            "no dates for the locale {locale!r}. Choose one of {locales}.",
            locale=locale,
            locales=", ".join(LOCALES),
        )
    if style not in STYLES:
        raise UserError(
            "no style {style!r} for dates. Choose one of {styles}.", style=style, styles=", ".join(STYLES)
        )
    if native_digits and locale not in NATIVE_DIGITS:
        raise UserError(
            "{locale}: it has no native digits. Leave `native_digits` out, or choose one of {native_digits}.",
            locale=locale,
            native_digits=", ".join(NATIVE_DIGITS),
        )
    fields = []
    before = locale.replace("_", "-") + ": "
    for kind, value in _cldr_tokens(locale, style):
        if kind == "field":
            name = (value[0] * int(value[1])).translate(STAND_ALONE)
            fields.append((before, PARTS.index(name[0]), _field(locale, name, native_digits)))
            before = ""
        else:
            before += str(value)
    return fields, before


def _cldr_tokens(locale: str, style: Style) -> list[tuple[str, str | tuple[str, int]]]:
    """Return Babel's tokens of a pattern: ("chars", text) or ("field", (letter, repetitions))."""
    try:
        from babel import Locale
        from babel.dates import tokenize_pattern
    except ImportError as error:
        raise missing_extra("data", "babel") from error
    cldr = Locale.parse(locale)
    patterns = cldr.datetime_skeletons if style.startswith("y") else cldr.date_formats
    return tokenize_pattern(patterns[style].pattern)


@cache
def _field(locale: str, name: str, native_digits: bool) -> dict[int, str]:
    """Return the texts of a field such as MMMM by year, month (from 1), day or weekday (Monday is 0).

    >>> _field("fr", "EEE", False)[0]
    'lun.'
    """
    from babel.dates import format_date

    digits = str.maketrans("0123456789", NATIVE_DIGITS[locale] if native_digits else "0123456789")
    part = PARTS.index(name[0])
    return {_parts(day)[part]: format_date(day, name, locale).translate(digits) for day in _SAMPLE}


def _parts(day: date) -> tuple[int, int, int, int]:
    """Return the parts of a day in the order of PARTS."""
    return day.year, day.month, day.day, day.weekday()
