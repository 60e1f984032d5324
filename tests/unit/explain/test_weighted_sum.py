"""Chapter `weighted-sum`: W @ x row by row is what the kernel gathers, in every family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glassgpt.explain import ChapterContext, Grid
from glassgpt.explain.chapters import weighted_sum
from glassgpt.explain.heads import AttentionLayer, head_example
from helpers.explain_runs import small_run
from helpers.pictures import drawn_texts


@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    assert weighted_sum.make_chapter(ChapterContext(seed=seed), str).is_confirmed


def test_rows_against_loops() -> None:
    W, x = torch.randn(3, 4), torch.randn(4, 5)
    found = weighted_sum.by_rows(W, x)
    for t in range(3):
        for c in range(5):
            entry = sum((W[t, s] * x[s, c]).item() for s in range(4))
            assert found[t, c].item() == pytest.approx(entry, abs=1e-5)


def test_the_table_adds_up_to_what_the_kernel_gathered() -> None:
    tables = [
        part for part in weighted_sum.make_chapter(ChapterContext(seed=4), str).body if isinstance(part, Grid)
    ]
    *parts, total, kernel = torch.tensor(tables[-1].values)
    torch.testing.assert_close(torch.stack(parts).nansum(0), total)
    torch.testing.assert_close(total[1:], kernel[1:])


def broken(monkeypatch: pytest.MonkeyPatch, change: Callable[[AttentionLayer], AttentionLayer]) -> list[str]:
    """The findings that fail when something is wrong in every layer."""

    def shown(*arguments: object) -> object:
        right = head_example(*arguments)  # pyright: ignore[reportArgumentType]
        return replace(right, layers=[change(layer) for layer in right.layers])

    monkeypatch.setattr(weighted_sum, "head_example", shown)
    findings = weighted_sum.make_chapter(ChapterContext(), str).findings
    return [finding.name.split(",")[0] for finding in findings if finding.outcome == "fail"]


def test_weights_that_do_not_sum_to_1_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = broken(monkeypatch, lambda layer: replace(layer, weights=layer.weights * 1.001))
    assert failed == ["sum of a row of weights", "W @ x ↔ the kernel"]


def test_values_of_another_head_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = broken(monkeypatch, lambda layer: replace(layer, v=layer.v.roll(1, 0)))
    assert failed == ["W @ x ↔ the kernel", "output outside the range of values"]


def test_a_sum_that_loses_a_token_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = weighted_sum.by_rows
    monkeypatch.setattr(weighted_sum, "by_rows", lambda W, x: right(W[:, 1:], x[1:]))
    failed = [
        f.name for f in weighted_sum.make_chapter(ChapterContext(), str).findings if f.outcome == "fail"
    ]
    assert failed == ["row by row ↔ W @ x, float roundings"]


@pytest.mark.parametrize(
    ("family", "model", "own"),
    [
        ("gpt", {"preset": "gpt2"}, True),
        ("gpt", {"n_kv_head": 2}, True),
        ("gpt", {"window": 3}, True),
        ("encoder", {}, True),
        ("seq2seq", {"n_encoder_layer": 1}, True),
        ("bigram", {}, False),
    ],
)
def test_a_users_run(tmp_path: Path, family: str, model: dict, own: bool) -> None:
    chapter = weighted_sum.make_chapter(ChapterContext(small_run(tmp_path, family, **model)), str)
    assert chapter.is_confirmed
    assert (str(tmp_path) in "".join(map(str, chapter.body))) is own


def test_the_picture() -> None:
    pytest.importorskip("matplotlib")
    plot = weighted_sum.make_chapter(ChapterContext(seed=1), str).plot()
    words = [text.words for text in drawn_texts(plot)]
    assert words.count("@") == words.count("=") == 3
    assert {"W (4, 4)", "x[1] (4, 2)", "W (8, 8)", "x (8, 16)"} <= {*words}


def test_the_mean_of_the_notes_is_the_softmax_of_masked_zeros() -> None:
    W = weighted_sum.mean_of_past(4)
    assert torch.allclose(W, weighted_sum.uniform_attention(4))
    x = weighted_sum.notes_sequences()
    assert x.shape == (2, 4, 2)
    assert torch.allclose((W @ x)[1, 2], x[1, :3].mean(0))
    page = weighted_sum.make_chapter(ChapterContext(), str)
    grid = next(part for part in page.body if isinstance(part, Grid))
    assert torch.allclose(torch.tensor(grid.values)[6, 2:], x[1, :3].mean(0))
