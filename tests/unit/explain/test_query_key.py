"""Chapter `query-key`: each query row against each key column, in every family."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glassgpt.explain import ChapterContext, Grid
from glassgpt.explain.chapters import query_key
from glassgpt.explain.heads import FAMILIES, head_example
from helpers.explain_runs import small_run
from helpers.pictures import drawn_texts


@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    assert query_key.make_chapter(ChapterContext(seed=seed), str).is_confirmed


def test_pairs_against_loops() -> None:
    q, k = torch.randn(3, 5), torch.randn(4, 5)
    found = query_key.by_pairs(q, k)
    for t in range(3):
        for s in range(4):
            entry = sum((q[t, i] * k[s, i]).item() for i in range(5))
            assert found[t, s].item() == pytest.approx(entry, abs=1e-5)


@pytest.mark.parametrize("D", [2, 6, 16])
def test_parts_cover_each_component_once(D: int) -> None:
    query, keys = torch.randn(D), torch.randn(3, D)
    parts = query_key.partial(query, keys)
    torch.testing.assert_close(torch.stack(parts).sum(0), keys @ query)
    names = query_key._part_names(D, len(parts))
    assert len(parts) == len(names) == min(D, 4)
    ends = [tuple(map(int, name.split("–"))) for name in names]
    assert [i for end in ends for i in range(end[0], end[-1] + 1)] == list(range(D))


def test_the_table_of_one_query_adds_up() -> None:
    tables = [
        part for part in query_key.make_chapter(ChapterContext(seed=2), str).body if isinstance(part, Grid)
    ]
    whole, one = (torch.tensor(table.values) for table in tables)
    torch.testing.assert_close(one[:, :4].sum(1), one[:, 4])
    torch.testing.assert_close(one[:, 4] / 4, one[:, 5])  # √16
    assert one[:, 6].sum().item() == pytest.approx(1)
    assert any(torch.allclose(row, one[:, 4], atol=1e-4) for row in whole)


def test_scores_of_another_scale_are_found_out() -> None:
    layers = head_example(ChapterContext().demo(*FAMILIES), 8, torch.Generator().manual_seed(0)).layers
    assert query_key.score_error(layers) <= 1
    wrong = [replace(layer, scores=layer.scores * 1.001) for layer in layers]
    assert query_key.score_error(wrong) > 1
    assert query_key.score_error([replace(layer, k=layer.k.roll(1, 0)) for layer in layers]) > 1


def test_weights_of_other_products_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(*arguments: object) -> object:
        right = head_example(*arguments)  # pyright: ignore[reportArgumentType]
        return replace(right, layers=[replace(layer, k=-layer.k) for layer in right.layers])

    monkeypatch.setattr(query_key, "head_example", shown)
    verdicts = [finding.outcome for finding in query_key.make_chapter(ChapterContext(), str).findings]
    assert verdicts == ["ok", "ok", "fail", "fail"]


def test_a_lost_component_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = query_key.by_pairs
    monkeypatch.setattr(query_key, "by_pairs", lambda q, k: right(q[:, 1:], k[:, 1:]))
    verdicts = [finding.outcome for finding in query_key.make_chapter(ChapterContext(), str).findings]
    assert verdicts == ["fail", "ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("family", "model", "said"),
    [
        ("gpt", {"preset": "gpt2"}, "4 heads in each layer"),
        ("gpt", {"n_kv_head": 2}, "4 query heads and 2 key heads in each layer: 2 tables"),
        ("gpt", {"window": 3}, "4 heads in each layer"),
        ("encoder", {"n_kv_head": 1}, "4 query heads and 1 key heads"),
        ("seq2seq", {}, "4 heads in each layer"),
    ],
)
def test_a_users_run(tmp_path: Path, family: str, model: dict, said: str) -> None:
    chapter = query_key.make_chapter(ChapterContext(small_run(tmp_path, family, **model)), str)
    assert chapter.is_confirmed, chapter.findings
    assert str(tmp_path) in next(part.title for part in chapter.body if isinstance(part, Grid))
    assert said in str(chapter.body[-1])


def test_the_picture() -> None:
    pytest.importorskip("matplotlib")
    plot = query_key.make_chapter(ChapterContext(seed=1), str).plot()
    words = [text.words for text in drawn_texts(plot)]
    assert {"k0", "k7", "Q @ Kᵀ\n(8, 8)"} <= {*words}
    assert any(re.fullmatch(r"q\d · k\d = −?[\d.]+", text) for text in words)
