"""Written dates: as Babel writes them, never ambiguous, split by day, the month where it is said to be."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import date, datetime, timedelta

import babel.dates
import pytest
from babel import Locale

from glassgpt.data.datasets import dates as module
from glassgpt.data.datasets.dates import (
    LOCALES,
    STYLES,
    Style,
    forms,
    located_test_dates,
    make_dates,
    written_date,
)
from glassgpt.data.examples.examples import ExampleCorpus
from glassgpt.errors import UserError

DAY = date(2021, 3, 14)


@pytest.fixture(scope="module")
def corpus() -> ExampleCorpus:
    return make_dates()


@pytest.mark.parametrize("locale", LOCALES)
def test_the_text_is_what_babel_writes(locale: str) -> None:
    for style in STYLES:
        for n in range(25):
            day = date(1950, 1, 1) + timedelta(n * 1487)
            if style.startswith("y"):
                moment = datetime(day.year, day.month, day.day)
                expected = babel.dates.format_skeleton(style, moment, fuzzy=False, locale=locale)
            else:
                expected = babel.dates.format_date(day, style, locale)
            assert written_date(day, locale, style).text == f"{locale.replace('_', '-')}: {expected}"


@pytest.mark.parametrize(
    ("locale", "style", "native", "text", "month"),
    [
        ("en_US", "short", False, "en-US: 3/14/21", "3"),
        ("en_GB", "full", False, "en-GB: Sunday, 14 March 2021", "March"),
        ("ru", "long", False, "ru: 14 марта 2021\u202fг.", "марта"),
        ("ko", "long", False, "ko: 2021년 3월 14일", "3월"),
        ("hi", "long", True, "hi: १४ मार्च २०२१", "मार्च"),
        ("ar", "yMd", True, "ar: ١٤\u200f/٣\u200f/٢٠٢١", "٣"),
    ],
)
def test_known_dates(locale: str, style: Style, native: bool, text: str, month: str) -> None:
    written = written_date(DAY, locale, style, native)
    assert (written.text, written.text[written.month]) == (text, month)


def test_no_source_has_two_targets(corpus: ExampleCorpus) -> None:
    target_of: dict[str, str] = {}
    for example in (*corpus.train, *corpus.val, *corpus.test):
        assert target_of.setdefault(example.source, example.target) == example.target
    # Every day and form of years whose digits could pass for a day or a month.
    years = (1950, 2001, 2003, 2010, 2012, 2049)
    days = [date(year, 1, 1) + timedelta(n) for year in years for n in range(365)]
    for locale in LOCALES:
        for style, native in forms(locale):
            for day in days:
                text, target = written_date(day, locale, style, native).text, day.isoformat()
                assert target_of.setdefault(text, target) == target


def test_forms_leave_out_only_what_another_writes_alike() -> None:
    for locale in LOCALES:
        days = module._SAMPLE
        written = {written_date(day, locale, *form).text for form in forms(locale) for day in days}
        every = {written_date(day, locale, style).text for style in STYLES for day in days}
        assert every <= written
        assert (written == every) == (locale not in ("ar", "hi"))


def test_days_held_out_are_new_whatever_the_seed(corpus: ExampleCorpus) -> None:
    other = make_dates(seed=1)
    train, val, test = ({e.target for e in split} for split in (corpus.train, corpus.val, corpus.test))
    assert len(val) == len(test) == 2000  # no day twice
    assert 0.79 < len(train) / 36525 < 0.81
    assert not train & val and not train & test and not val & test
    assert [len(days) for days in module._split_days()] == [29221, 3652, 3652]
    assert len(set().union(*module._split_days())) == 36525
    assert not train & {e.target for e in (*other.val, *other.test)}
    assert corpus.train[:100] != other.train[:100] and corpus.test != other.test
    assert make_dates(seed=1) == other


def test_every_locale_alike_and_every_form_in_each_split(corpus: ExampleCorpus) -> None:
    for split, per_locale in (corpus.train, 6250), (corpus.val, 125), (corpus.test, 125):
        tags = Counter(example.source.split(":")[0] for example in split)
        assert tags == {locale.replace("_", "-"): per_locale for locale in LOCALES}
        sources = {example.source for example in split}
        days = [date.fromisoformat(example.target) for example in split[:16000]]
        for locale in LOCALES:
            for form in forms(locale):
                assert any(written_date(day, locale, *form).text in sources for day in days)


def test_repeats_are_few_and_sources_short(corpus: ExampleCorpus) -> None:
    sources = [example.source for example in corpus.train]
    assert len(set(sources)) > 0.98 * len(sources)
    assert max(map(len, sources)) <= 60
    days = sorted(date.fromisoformat(example.target) for example in corpus.train)
    assert date(1950, 1, 1) <= days[0] < days[-1] <= date(2049, 12, 31)


def test_the_month_is_where_it_is_said_to_be(corpus: ExampleCorpus) -> None:
    located = located_test_dates()
    assert [example for example, _ in located] == corpus.test
    for example, span in located:
        locale = Locale.parse(example.source.split(":")[0], sep="-")
        month, named = date.fromisoformat(example.target).month, example.source[span]
        names = (locale.months["format"][width][month] for width in ("wide", "abbreviated"))
        assert named in names or int(named) == month


def test_names_standing_alone_come_from_their_own_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    babel.dates.format_date(DAY, "LLLL", "zh")  # after which Babel 2.18 writes Japanese LLLL in Chinese
    babel.dates.format_date(DAY, "MMMM", "ja")  # Babel keeps its tokens, which the next line replaces
    monkeypatch.setattr(babel.dates, "tokenize_pattern", lambda _: [("field", ("L", 4)), ("chars", "!")])
    ((_, _, months),), end = module._pattern.__wrapped__("ja", "long", False)
    assert (months[3], end) == ("3月", "!")


def test_refusals_name_the_limit() -> None:
    with pytest.raises(UserError, match="2050-01-01: the range is 1950-01-01 to 2049-12-31"):
        written_date(date(2050, 1, 1), "de", "long")
    with pytest.raises(UserError, match=r"'de_AT'\. Choose one of en_US, .*hi"):
        written_date(DAY, "de_AT", "long")
    with pytest.raises(UserError, match=r"'tiny' .*\. Choose one of full, .*yMEd"):
        written_date(DAY, "de", "tiny")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match=r"de: it has no native digits.*ar, hi"):
        written_date(DAY, "de", "long", native_digits=True)


def test_without_babel_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module._pattern.cache_clear()
    monkeypatch.setitem(sys.modules, "babel", None)
    with pytest.raises(UserError, match=r"babel is not installed: pip install 'glassgpt\[data\]'"):
        written_date(DAY, "de", "long")
