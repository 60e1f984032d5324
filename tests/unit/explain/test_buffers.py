"""Chapter `buffers`: not trained, not optimized, not saved where it can be computed, and it moves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glassgpt.explain import Chapter, ChapterContext
from glassgpt.explain.chapters import buffers
from glassgpt.nn import RotaryEmbedding
from helpers.explain_runs import small_run


@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    assert buffers.make_chapter(ChapterContext(seed=seed), str).is_confirmed


def rows(chapter: Chapter) -> dict[str, list[int]]:
    table = next(part for part in chapter.body if not isinstance(part, str))
    return dict(zip(table.rows, (list(map(int, row)) for row in table.values), strict=True))


def test_what_becomes_of_each() -> None:
    found = rows(buffers.make_chapter(ChapterContext(), str))  # parameter, gradient, optimizer, saved, moves
    assert found["blocks.0.attn.qkv.weight, a weight"] == [1, 1, 1, 1, 1]
    assert found["rope.cos, a buffer"] == [0, 0, 0, 0, 1]
    assert found["mask, a buffer that is saved"] == [0, 0, 0, 1, 1]
    assert found["BatchNorm's running mean, a buffer that is saved"] == [0, 0, 0, 1, 1]
    assert found["mask, a plain attribute"] == [0, 0, 0, 0, 0]


def test_only_the_attribute_that_stayed_behind_complains() -> None:
    assert "device" in buffers.complaint(buffers.Masked(registered=False))
    assert buffers.complaint(buffers.Masked(registered=True)) == ""


def test_a_table_that_was_changed_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = ChapterContext().demo("gpt")
    demo.model.get_buffer("rope.cos").mul_(1.001)
    monkeypatch.setattr(ChapterContext, "demo", lambda *_: demo)
    failed = [f.name for f in buffers.make_chapter(ChapterContext(), str).findings if f.outcome == "fail"]
    assert failed == ["computed again, largest difference"]


def test_a_table_that_is_trained_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = ChapterContext().demo("gpt")
    demo.model.get_buffer("rope.cos").requires_grad_()
    monkeypatch.setattr(ChapterContext, "demo", lambda *_: demo)
    failed = [f.name for f in buffers.make_chapter(ChapterContext(), str).findings if f.outcome == "fail"]
    assert failed == ["buffers with a gradient"]


def test_the_fate_of_a_plain_table_inside_a_model() -> None:
    rope = RotaryEmbedding(8, 4, 10_000.0)
    plain = torch.nn.Module()
    plain.rope, plain.cos = rope, rope.cos.clone()
    found = buffers.fates(plain, ["rope.cos", "cos"], set())
    assert found["rope.cos"].moves and not found["cos"].moves


@pytest.mark.parametrize(
    ("family", "model", "own"),
    [
        ("gpt", {}, True),
        ("gpt", {"position": "sinusoidal"}, True),
        ("gpt", {"preset": "gpt2"}, False),  # learned positions: weights, no buffers
        ("encoder", {}, True),
        ("seq2seq", {}, True),
        ("bigram", {}, False),
    ],
)
def test_a_users_run(tmp_path: Path, family: str, model: dict, own: bool) -> None:
    chapter = buffers.make_chapter(ChapterContext(small_run(tmp_path, family, **model)), str)
    assert chapter.is_confirmed
    assert (str(tmp_path) in " ".join(part for part in chapter.body if isinstance(part, str))) == own
    assert chapter.plot() is not None
