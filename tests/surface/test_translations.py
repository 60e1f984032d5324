"""Every text is there in each language, with its fields, and compiled; every message is one whole text."""

from __future__ import annotations

import ast
import re
import string
import sys
from pathlib import Path

import pytest

pytest.importorskip("babel")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from babel.messages.mofile import read_mo  # noqa: E402

import glassgpt as gg  # noqa: E402
from glassgpt.cli.parse import take_language  # noqa: E402
from glassgpt.errors import UserError  # noqa: E402
from glassgpt.language import DOMAINS, VARIABLES, _, language, preferred, translator, using  # noqa: E402
from glassgpt.language import LANGUAGES as OFFERED  # noqa: E402
from texts import LANGUAGES, SOURCE, calls, extracted, po_file, spoken, translations  # noqa: E402

FIELD = re.compile(r"\{[^{}]*\}")
FILES = sorted(SOURCE.rglob("*.py"))


def fields(text: str) -> set[str]:
    return {re.split(r"[.\[]", name)[0] for _, name, *_ in string.Formatter().parse(text) if name}


def test_the_languages_are_those_that_are_offered() -> None:
    assert ("en", *LANGUAGES) == OFFERED


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_left_untranslated_or_left_over(language: str, domain: str) -> None:
    known = translations(language, domain)
    assert known.keys() == extracted(domain).keys(), "run `make texts`"
    assert [text for text, said in known.items() if not said] == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_punctuation_next_to_chinese_is_full_width(domain: str) -> None:
    wrong = re.compile("[\u4e00-\u9fff][,;:!?]|[,;:!?][\u4e00-\u9fff]")
    inner = re.compile(r"\([^()]*\)")  # shapes and formulas, such as (B, 通道, 高)
    for said in translations("zh", domain).values():
        while inner.search(said):
            said = inner.sub("", said)
        assert not wrong.search(FIELD.sub("", said)), said


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_fields_are_the_same(language: str, domain: str) -> None:
    for text, said in translations(language, domain).items():
        assert not said or set(FIELD.findall(text)) == set(FIELD.findall(said)), said


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str, domain: str) -> None:
    with po_file(language, domain).with_suffix(".mo").open("rb") as file:
        compiled = {str(m.id): str(m.string) for m in read_mo(file) if m.id and m.string}
    assert compiled == {text: said for text, said in translations(language, domain).items() if said}


def test_messages_are_texts_with_fields_and_no_f_strings() -> None:
    """An f-string is filled in before the catalog sees it: no language could have its sentence."""
    wrong = [
        f"{path}:{text.lineno}" for path in FILES for text in spoken(path) if isinstance(text, ast.JoinedStr)
    ]
    assert wrong == []


def test_every_field_of_a_message_gets_a_value() -> None:
    for path in FILES:
        for call in calls(path):
            given = {word.arg for word in call.keywords}
            if given and None not in given and isinstance(call.args[0], ast.Constant):
                assert fields(str(call.args[0].value)) == given, f"{path}:{call.lineno}"


def test_the_environment_chooses_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert preferred() == "en"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert preferred() == "zh"
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert preferred() == "en"
    monkeypatch.setenv("LANGUAGE", "de:zh_CN")
    assert preferred() == "zh"
    with pytest.raises(ValueError, match="Choose one of en, zh"):
        translator("de")


def test_the_option_wins_over_the_environment_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "zh_CN")
    assert take_language(["runs"]) == ("zh", ["runs"])
    assert take_language(["runs", "--json"]) == ("en", ["runs", "--json"])
    assert take_language(["--lang", "en", "runs"]) == ("en", ["runs"])
    assert take_language(["runs", "--lang=zh", "--json"]) == ("zh", ["runs", "--json"])
    assert take_language(["fill", "--", "--lang"]) == ("zh", ["fill", "--", "--lang"])
    for wrong in (["--lang", "de"], ["runs", "--lang"]):
        with pytest.raises(UserError, match="Choose one of en, zh"):
            take_language(wrong)


def test_a_message_is_in_the_language_of_the_process() -> None:
    error = UserError("{path}: no such run", path="a")
    assert str(error) == "a: no such run"
    with using("zh"):
        assert language() == "zh"
        assert _("expected") == "预期"
    assert _("expected") == "expected" and language() == "en"
    gg.set_language("zh")
    assert _("expected") == "预期"
    gg.set_language("en")


def test_braces_without_values_stay() -> None:
    assert str(UserError("{'a': 1} is no number")) == "{'a': 1} is no number"
    assert str(UserError("{given!r} is no number", given="{x}")) == "'{x}' is no number"
