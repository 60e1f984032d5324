"""Every text of the chapters is there in each language, with its placeholders, and compiled."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("babel")
ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tools"))

from babel.messages.mofile import read_mo  # noqa: E402

from glassgpt.errors import UserError  # noqa: E402
from glassgpt.explain import NAMES, chapter, titles  # noqa: E402
from glassgpt.explain.chapters import ladder  # noqa: E402
from glassgpt.explain.translations import LANGUAGES as OFFERED  # noqa: E402
from glassgpt.explain.translations import translator  # noqa: E402
from texts import LANGUAGES, extracted, po_file, translations  # noqa: E402

FIELD = re.compile(r"\{[^{}]*\}")


def test_the_languages_are_those_that_are_offered() -> None:
    assert ("en", *LANGUAGES) == OFFERED


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_left_untranslated_or_left_over(language: str) -> None:
    known = translations(language)
    assert [text for text in extracted() if not known.get(text)] == []
    assert known.keys() == extracted().keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_the_same(language: str) -> None:
    for text, said in translations(language).items():
        assert sorted(FIELD.findall(text)) == sorted(FIELD.findall(said)), said


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    with po_file(language).with_suffix(".mo").open("rb") as file:
        compiled = {str(m.id): str(m.string) for m in read_mo(file) if m.id}
    assert compiled == {text: said for text, said in translations(language).items() if said}


@pytest.mark.parametrize("name", NAMES)
def test_a_chinese_chapter_is_chinese(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each paragraph and each title; tokens and names stay as they are."""
    monkeypatch.setattr(ladder, "STEPS", 4)  # its figures do not matter here
    monkeypatch.setattr(ladder, "MARKS", (0, 2, 4))
    found = chapter(name, language="zh")
    paragraphs = [part for part in found.body if isinstance(part, str)]
    assert paragraphs
    for text in [found.title, *paragraphs, *(finding.name for finding in found.findings)]:
        if not re.search(r"[\u4e00-\u9fff]", text):
            assert not re.search(r"[a-z]{4,} [a-z]{3,} [a-z]{2,}", text), text


def test_the_environment_chooses_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert translator()("expected") == "expected"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert translator()("expected") == "预期"
    assert titles()["loss"] != titles("en")["loss"]
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert translator()("expected") == "expected"
    with pytest.raises(UserError, match="Choose one of en, zh"):
        translator("de")
