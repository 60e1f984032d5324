"""The task `dates`: how people write dates, in 16 locales, to ISO 8601; made, not read.

What is written comes from the CLDR data in Babel, which is asked once per field and locale. This is not a
parser of dates, and it knows the Gregorian calendar only.
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
"""CLDR's names: four lengths, then four skeletons (MMM: the month by its name, E: with the weekday)."""

STYLES: tuple[Style, ...] = get_args(Style)
LOCALES = tuple("en_US en_GB de fr es it pt nl ru pl tr zh ja ko ar hi".split())
NATIVE_DIGITS = {"ar": "٠١٢٣٤٥٦٧٨٩", "hi": "०१२३४५६७८९"}
"""Digits used besides 0 to 9, for which they stand one for one. Babel itself writes 0 to 9 only."""

FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)
"""A hundred years, so that two digits name one of them."""

N_TRAIN, N_VAL, N_TEST = 100_000, 2_000, 2_000

PARTS = "yMdE"
MONTH = PARTS.index("M")
STAND_ALONE = str.maketrans("Lc", "ME")
"""Asks for names as in a date where CLDR wants them as they stand alone: of those, Babel 2.18 may give
another locale's, the one it was asked for first (Japanese months in Chinese)."""

# Between them, each day of the month, weekday, month and year.
_SAMPLE = [date(2021, 1, n) for n in range(1, 32)] + [date(y, 1 + y % 12, 1) for y in range(1950, 2050)]

Template = tuple[list[tuple[str, int, dict[int, str]]], str]
"""Fields, each as the text before it, its index in PARTS and its texts; and the text after the last."""


@dataclass(frozen=True, slots=True)
class Written:
    """A date as the source of an example. `month`: where its month's name or number stands in `text`."""

    text: str
    month: slice


def make_dates(seed: int = 0) -> ExampleCorpus:
    """100,000 examples to train on (about 1 % are repeats), 2,000 each for val and test; takes a second.

    No day of one split is in another: 80, 10 and 10 % of the days, the same ones for each seed, hence a
    test day is new to any model trained on this task. The seed decides how each day is written. Within a
    split the locales take turns, and so do the forms of each.

    Raises UserError where Babel is missing.
    """
    train, val, _ = _split_days()
    return ExampleCorpus(
        train=[example for example, _ in _draw(train, N_TRAIN, random.Random(f"{seed} train"))],
        val=[example for example, _ in _draw(val, N_VAL, random.Random(f"{seed} val"))],
        test=[example for example, _ in located_test_dates(seed)],
    )


def located_test_dates(seed: int = 0) -> list[tuple[Example, slice]]:
    """The examples of `make_dates(seed).test`, each with where its source names the month."""
    test = _split_days()[2]
    return _draw(test, N_TEST, random.Random(f"{seed} test"))


def written_date(day: date, locale: str, style: Style, native_digits: bool = False) -> Written:
    """A day from 1950 to 2049 as people of a locale write it, after the locale's tag.

    Raises UserError for other days, unknown locales or styles, native digits where there are none.

    >>> written = written_date(date(2021, 3, 14), "de", "long")
    >>> written.text, written.text[written.month]
    ('de: 14. März 2021', 'März')
    """
    if not FIRST <= day <= LAST:
        raise UserError(
            f"{day} is outside {FIRST} to {LAST}, where two digits name one year; take one inside"
        )
    fields, end = _template(locale, style, native_digits)
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
    """Styles, without and with native digits, that differ in a locale: in most, some share a pattern.

    >>> [style for style, _ in forms("zh")]
    ['full', 'long', 'short', 'yMMMEd', 'yMEd']
    """
    templates: list[Template] = []
    distinct: list[tuple[Style, bool]] = []
    for native_digits in (False, True) if locale in NATIVE_DIGITS else (False,):
        for style in STYLES:
            template = _template(locale, style, native_digits)
            if template not in templates:
                templates.append(template)
                distinct.append((style, native_digits))
    return tuple(distinct)


def _draw(days: Sequence[date], count: int, rng: random.Random) -> list[tuple[Example, slice]]:
    """Days in random order, all of them before one comes again; locales take turns, then their forms."""
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
    """Days for train, val and test: by the SHA-256 of their ISO form, so that no seed can move one."""
    days = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]
    days.sort(key=lambda day: hashlib.sha256(day.isoformat().encode()).digest())
    tenth = len(days) // 10
    return days[2 * tenth :], days[tenth : 2 * tenth], days[:tenth]


@cache
def _template(locale: str, style: Style, native_digits: bool) -> Template:
    """CLDR's pattern with the text of each value of each field, the locale's tag in front."""
    if locale not in LOCALES:
        raise UserError(f"no dates for the locale {locale!r}; choose one of {', '.join(LOCALES)}")
    if style not in STYLES:
        raise UserError(f"no style {style!r} for dates; choose one of {', '.join(STYLES)}")
    if native_digits and locale not in NATIVE_DIGITS:
        raise UserError(
            f"{locale} is written with 0 to 9; only {', '.join(NATIVE_DIGITS)} have native digits"
        )
    fields = []
    before = locale.replace("_", "-") + ": "
    for kind, value in _pattern(locale, style):
        if kind == "field":
            name = (value[0] * int(value[1])).translate(STAND_ALONE)
            fields.append((before, PARTS.index(name[0]), _field(locale, name, native_digits)))
            before = ""
        else:
            before += str(value)
    return fields, before


def _pattern(locale: str, style: Style) -> list[tuple[str, str | tuple[str, int]]]:
    """Babel's tokens: ("chars", text) or ("field", (letter, how often))."""
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
    """How a field such as MMMM is written, by year, month (from 1), day or weekday (from Monday, 0).

    >>> _field("fr", "EEE", False)[0]
    'lun.'
    """
    from babel.dates import format_date

    digits = str.maketrans("0123456789", NATIVE_DIGITS[locale] if native_digits else "0123456789")
    part = PARTS.index(name[0])
    return {_parts(day)[part]: format_date(day, name, locale).translate(digits) for day in _SAMPLE}


def _parts(day: date) -> tuple[int, int, int, int]:
    """In the order of PARTS."""
    return day.year, day.month, day.day, day.weekday()
