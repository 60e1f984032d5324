"""Chapters as Markdown, for Jupyter and the documentation site."""

from __future__ import annotations

import re
from html import unescape

from markdown import markdown

from glassgpt.diagnose import Finding
from glassgpt.explain import Chapter, Grid


def rendered(chapter: Chapter) -> list[str]:
    """The cells of a chapter's tables, as a browser shows them."""
    html = markdown(chapter._repr_markdown_(), extensions=["tables"])
    return [unescape(re.sub("<.*?>", "", cell)) for cell in re.findall("<t[hd].*?>(.*?)</t[hd]>", html)]


def chapter(*body: str | Grid, name: str = "a finding") -> Chapter:
    findings = (Finding(name, 1.0, 2.0, "ok"),)
    return Chapter("loss", "Loss", body, findings, lambda: None, str)  # pyright: ignore[reportArgumentType]


def test_signs_of_markdown_are_shown_as_they_are() -> None:
    names = ["|q · k| / a_b_c", "<eos>", "$x$ and $y$", "*", "`", "\\", "[?]", "~~", "#"]
    for name in names:
        assert rendered(chapter(name=name))[4:7] == [name, "1", "2"]
    grid = Grid("a | b", names, names, [[0.5] * len(names)] * len(names))
    cells = rendered(chapter(grid))
    assert cells[: 1 + len(names)] == ["a | b", *names]


def test_invisible_tokens_have_the_labels_of_the_terminal() -> None:
    grid = Grid("weights", [" ", "\n", "\t", " the"], [" ", "\n"], [[0.1, 0.2]] * 4)
    cells = rendered(chapter(grid))
    assert cells[:3] == ["weights", "␣", "⏎"]
    assert [cells[at] for at in (3, 6, 9, 12)] == ["␣", "⏎", "⇥", "␣the"]


def test_a_paragraph_shows_its_signs_and_keeps_code() -> None:
    html = markdown(
        chapter("The token <eos> costs $1 * 2 * 3$: `a * b`.")._repr_markdown_(), extensions=["tables"]
    )
    assert unescape(html).startswith("<p>The token <eos> costs $1 * 2 * 3$: <code>a * b</code>.</p>")
