"""Where the notes are wrong or leave something open, the chapter says so, with the figure."""

from __future__ import annotations

import pytest
import torch

from glassgpt.explain import Grid, chapter
from glassgpt.explain import score_samples as samples


def text(name: str, language: str = "en") -> str:
    return "\n".join(part for part in chapter(name, language=language).body if isinstance(part, str))


@pytest.mark.parametrize(
    ("name", "english", "chinese"),
    [
        ("loss", "65 characters of its text + 256 bytes", "65 个字符 + 256 个字节"),
        ("loss", "The output head of this model starts as zeros", "输出层从零开始"),
        ("mask", "The notes say that a decoder looks at T − 1 tokens. It is one more", "其实还要多一个"),
        ("cross", "The notes have it the other way round, “X → K, others → Q, V”", "正好反了"),
        ("scale", "so 14.1379 lies 0.9 standard errors below 16", "比 16 低 0.9 个标准误差"),
        ("scale", "E[q_i] E[k_i] = 0 · 0 = 0", "独立随机变量之和的方差等于各自方差之和"),
        ("qkv", "agree to the last bit", "逐位相同"),
        ("qkv", "One product can even be slower", "合成一次有时反而更慢"),
        ("weighted-sum", "B, T, C = 2, 4, 2", "B, T, C = 2, 4, 2"),
    ],
)
def test_the_notes_are_answered(name: str, english: str, chinese: str) -> None:
    assert english in text(name, "en")
    assert chinese in text(name, "zh")


def test_shapes_of_cross_attention_are_those_of_its_table() -> None:
    page = chapter("cross", language="en")
    grid = next(part for part in page.body if isinstance(part, Grid))
    asked, sources = len(grid.columns), len(grid.rows)
    assert f"the weights Q @ Kᵀ are ({asked}, {sources})" in text("cross")


@pytest.mark.parametrize("d", [4, 16, 64])
def test_the_noise_of_a_small_sample_is_that_of_the_formula(d: int) -> None:
    found = samples.sample_variances(4000, d, torch.Generator().manual_seed(d))
    assert found.mean().item() == pytest.approx(d, rel=0.02)
    assert found.std().item() == pytest.approx(samples.sample_error(d), rel=0.08)


def test_the_typical_row_saturates_without_scaling_only() -> None:
    scores = samples.typical_scores(64, 16, torch.Generator().manual_seed(0))
    assert scores.softmax(-1).max() > 0.7 > 0.4 > (scores / 8).softmax(-1).max()
