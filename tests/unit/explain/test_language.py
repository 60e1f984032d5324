"""A Chinese chapter is Chinese."""

from __future__ import annotations

import re

import pytest

from glassgpt.explain import NAMES, chapter, titles
from glassgpt.explain.chapters import ladder
from glassgpt.language import using


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


def test_the_language_of_the_process_is_that_of_the_chapters() -> None:
    assert titles() == titles("en")
    with using("zh"):
        assert titles() == titles("zh") != titles("en")
