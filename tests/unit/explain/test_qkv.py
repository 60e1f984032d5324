"""Chapter `qkv`: one product equals three, in the shape of GPT-2 small and in trained models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glassgpt.explain import ChapterContext, Grid
from glassgpt.explain.chapters import qkv
from glassgpt.explain.influence import held_out
from glassgpt.nn import Attention
from helpers.explain_runs import small_run


@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    assert qkv.make_chapter(ChapterContext(seed=seed), str).is_confirmed


def test_the_error_is_measured_in_what_rounding_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = torch.randn(6, 32), torch.randn(96, 32)
    assert qkv.compare_fused(x, weight, torch.randn(96), [32, 32, 32]).error <= 1
    bent = torch.nn.functional.linear

    def wrong(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        return bent(x, w, b) * (1 if len(w) == 96 else 1 + 1e-4)

    monkeypatch.setattr(qkv.F, "linear", wrong)
    assert qkv.compare_fused(x, weight, None, [32, 32, 32]).error > 1


def test_a_product_cut_in_the_wrong_places_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = ChapterContext().demo("gpt")
    tokens = held_out(demo, 1, 6, torch.Generator().manual_seed(0))
    assert qkv.first_attention(demo.model, tokens).values == 0
    project = Attention._project

    def swapped(self: Attention, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q, k, v = project(self, x)
        return q, v, k

    monkeypatch.setattr(Attention, "_project", swapped)
    failed = [f.name for f in qkv.make_chapter(ChapterContext(), str).findings if f.outcome == "fail"]
    assert failed == ["last columns of the product ↔ the values that the head used"]


def test_cross_values_from_the_wrong_memory_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    key_value = Attention.key_value
    monkeypatch.setattr(Attention, "key_value", lambda self, memory: key_value(self, memory * 1.01))
    failed = [f.name for f in qkv.make_chapter(ChapterContext(), str).findings if f.outcome == "fail"]
    assert failed == ["cross-attention: value rows × memory ↔ the values used"]


@pytest.mark.parametrize(
    ("family", "model", "rows"),
    [
        ("gpt", {"preset": "gpt2"}, 96),
        ("gpt", {"n_kv_head": 2}, (4 + 2 * 2) * 8),
        ("gpt", {"n_kv_head": 1, "bias": True}, (4 + 2 * 1) * 8),
        ("seq2seq", {"n_kv_head": 2}, 64),
        ("bigram", {}, None),
    ],
)
def test_a_users_run(tmp_path: Path, family: str, model: dict, rows: int | None) -> None:
    chapter = qkv.make_chapter(ChapterContext(small_run(tmp_path, family, **model)), str)
    assert chapter.is_confirmed
    table = next(part for part in chapter.body if isinstance(part, Grid) and "rows" in part.columns)
    sizes = {name: values[-1] for name, values in zip(table.rows, table.values, strict=True)}
    assert sizes["GPT-2 small"] == 2304
    assert [size for name, size in sizes.items() if str(tmp_path) in name] == ([] if rows is None else [rows])
