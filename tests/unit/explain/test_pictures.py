"""Pictures of the chapters: slides that can be read from the last row, in both languages and themes."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("matplotlib")

from glassgpt.explain import LANGUAGES, NAMES, Chapter, chapter
from glassgpt.explain.pictures import cross, graph, mask, query_key, weighted_sum
from glassgpt.plots import Canvas, Plot, fonts
from glassgpt.plots.colors import THEMES
from glassgpt.plots.labels import broken_lines
from glassgpt.plots.slide import SMALLEST
from helpers.pictures import drawn_texts, faint, outside, overlapping, without_texts


@pytest.fixture(scope="module", params=[(name, lang) for name in NAMES for lang in LANGUAGES], ids="-".join)
def read(request: pytest.FixtureRequest, remembered_climbs: None) -> Chapter:
    name, language = request.param
    if language == "zh" and fonts.without_glyph("字"):
        pytest.skip("no Chinese font is installed: apt-get install fonts-noto-cjk")
    return chapter(name, language=language)


@pytest.mark.parametrize("theme", THEMES)
def test_a_picture_is_a_slide_with_readable_texts(read: Chapter, theme: str) -> None:
    plot = read.plot(theme)
    texts, pixels = drawn_texts(plot), without_texts(plot)
    assert pixels.shape == (540, 960, 3)
    assert max(text.size for text in texts) >= 16  # a title
    assert {text.words for text in texts if text.size < SMALLEST} == set()
    assert overlapping(texts) == []
    assert outside(plot, texts) == []
    assert faint(pixels, texts, 3.0) == []
    assert plot.theme is THEMES[theme]


LONG = [" transformers", "because", "\n\n", "注意力机制", " of", "internationalization", "a", " the"]


def long_labels() -> dict[str, Plot]:
    """Pictures of a model with long tokens and wide heads, as a user may have."""
    torch.manual_seed(0)
    weights, future = torch.rand(8, 8).tril(), torch.ones(8, 8).triu(1).bool()
    W, x, scores = weights / weights.sum(1, keepdim=True), torch.randn(8, 128), -100 * torch.rand(8, 8)
    pixels = torch.randint(256, (3, 32, 32)).byte()
    masked = scores.masked_fill(future, -torch.inf)
    return {
        "weighted-sum": weighted_sum.draw(str, W[:4, :4], torch.ones(2, 4, 2), LONG, W, 100 * x, 3),
        "query-key": query_key.draw(str, LONG, 10 * x, x, 7, 7),
        "graph": graph.draw(str, torch.stack([W, W]), [LONG, LONG[::-1]]),
        "mask": mask.draw(str, LONG, 99 * torch.rand(8, 8), LONG, 99 * W, masked, W),
        "cross": cross.draw(
            str, 3 * LONG, LONG, torch.rand(8, 24), "layer 11, head 11", pixels, torch.rand(8, 8),
            "what is at the bottom right?", "a seven", "layer 11, head 11",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["weighted-sum", "query-key", "graph", "mask", "cross"])
def test_long_tokens_are_shortened(name: str) -> None:
    if fonts.without_glyph("注意力机制"):
        pytest.skip("no Chinese font is installed: apt-get install fonts-noto-cjk")
    plot = long_labels()[name]
    texts = drawn_texts(plot)
    assert overlapping(texts) == []
    assert outside(plot, texts) == []
    assert {text.words for text in texts if text.size < SMALLEST - 0.01} == set()


def test_faults_of_a_picture_are_found() -> None:
    canvas = Canvas("title")
    canvas.text(3, 3, "one")
    canvas.text(3.1, 3.1, "other", 8)
    canvas.text(13.3, 5, "over the edge")
    canvas.text(6, 6, "pale", color="#EEEEEE")
    texts = drawn_texts(canvas.plot)
    assert overlapping(texts) == [("one", "other")]
    assert outside(canvas.plot, texts) == ["over the edge"]
    assert faint(without_texts(canvas.plot), texts, 3.0) == ["pale"]
    assert [text.words for text in texts if text.size < SMALLEST] == ["other"]


def test_lines_break_at_spaces_and_between_chinese_characters() -> None:
    assert broken_lines("multiply the pairs", 1.2, 14) == ["multiply the", "pairs"]
    lines = broken_lines("逐对相乘，再相加；和写进格子。", 1.0, 14)
    assert "".join(lines) == "逐对相乘，再相加；和写进格子。" and len(lines) > 2
    assert not any(line[0] in "，；。" for line in lines)
