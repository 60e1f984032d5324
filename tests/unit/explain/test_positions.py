"""Chapter `positions`: sets without them, distances with RoPE, and a model whose positions are wrong."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from glassgpt.explain import ChapterContext
from glassgpt.explain import positions as own
from glassgpt.explain.chapters import positions
from glassgpt.explain.influence import held_out
from glassgpt.models import GPT
from helpers.explain_runs import small_run


def failed(context: ChapterContext | None = None) -> list[str]:
    findings = positions.make_chapter(context or ChapterContext(), str).findings
    return [finding.name for finding in findings if finding.outcome == "fail"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    chapter = positions.make_chapter(ChapterContext(seed=seed), str)
    assert {finding.outcome for finding in chapter.findings} == {"ok"}, chapter.findings


def test_right_places_change_nothing_and_the_model_keeps_its_own() -> None:
    demo = ChapterContext().demo("gpt")
    tokens = held_out(demo, 2, 16, torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = demo.model(tokens)
        assert torch.equal(own.at_positions(demo.model, torch.arange(16))(tokens), before)
        assert not torch.allclose(own.at_positions(demo.model, torch.zeros(16).long())(tokens), before)
        assert torch.equal(demo.model(tokens), before)


@pytest.mark.parametrize("kind", own.KINDS)
def test_a_text_at_later_positions_is_the_end_of_a_longer_one(kind: str) -> None:
    """Tokens moved to 5 … 12 read like those of a longer text whose beginning is masked."""
    from glassgpt.nn import AttnMask

    model = own.random_model(kind, torch.Generator().manual_seed(0))
    tokens = torch.randint(own.N_VOCAB, (1, 13))
    hidden = torch.ones(1, 1, 13, 13, dtype=torch.bool)
    hidden[..., 5:, :5] = False
    with torch.no_grad():
        long = model.run_blocks(model.wte(tokens), AttnMask(hidden))
        moved = own.at_positions(model, torch.arange(5, 13)).trunk(tokens[:, 5:])
    assert torch.allclose(moved, long[:, 5:], atol=1e-10)


def test_scores_depend_on_the_distance_by_complex_numbers() -> None:
    """RoPE multiplies the complex number a + ib by e^(i angle): the score is Re Σ q k* e^(i w (t − s))."""
    q, k = torch.randn(2, 8, dtype=torch.float64)
    found = positions.rotary(q, k, 100.0, 12)
    w = 100.0 ** (-torch.arange(0, 8, 2).double() / 8)
    cq, ck = (torch.complex(*each.chunk(2)) for each in (q, k))
    for t, s in ((0, 0), (11, 3), (2, 9)):
        expected = (cq * ck.conj() * torch.exp(1j * w * (t - s))).sum().real
        assert found.scores[t, s].item() == pytest.approx(expected.item(), abs=1e-12)
    assert found.slowest == pytest.approx(2 * math.pi * 100**0.75)


def test_the_spread_of_equal_distances() -> None:
    products = torch.zeros(4, 4)
    products[2, 1] = 0.5  # distance 1, where the others are 0
    assert own.largest_spread(products) == 0.5
    assert own.largest_spread(torch.arange(4.0)[:, None] - torch.arange(4.0)) == 0


def test_tables_that_know_the_place_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = own.exact_angles

    def bent(n: int, D: int, theta: float) -> own.Rope:
        rope = right(n, D, theta)
        return own.Rope(rope.cos * torch.linspace(1, 1.1, n)[:, None].double(), rope.sin)

    monkeypatch.setattr(own, "exact_angles", bent)
    assert failed() == [
        "RoPE, text starts later",
        "RoPE: change of the norm of a query",
        "RoPE: spread of q · k at equal distance",
    ]


def test_positions_left_in_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = own.random_model
    monkeypatch.setattr(
        own, "random_model", lambda kind, *a, **k: right("learned" if kind == "none" else kind, *a, **k)
    )
    assert failed() == [
        "encoder without positions, shuffled text",
        "decoder without positions, 1 block: earlier tokens shuffled",
    ]


def test_a_model_that_reads_its_place_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = own.at_positions

    def numbered(model, at):
        moved = right(model, at)
        if isinstance(moved, GPT) and not moved.wte.weight.dtype.is_complex:
            moved.wte.weight = torch.nn.Parameter(moved.wte.weight + 0.01 * at[0])
        return moved

    monkeypatch.setattr(own, "at_positions", numbered)
    assert "nats added by shifted positions (RoPE)" in failed()


@pytest.mark.parametrize(
    ("family", "model", "shown"),
    [
        ("gpt", {"preset": "gpt2"}, True),
        ("gpt", {"position": "sinusoidal"}, True),
        ("gpt", {"n_kv_head": 2, "window": 3}, True),
        ("gpt", {"position": "none"}, False),
        ("encoder", {}, False),
    ],
)
def test_a_users_run(tmp_path: Path, family: str, model: dict, shown: bool) -> None:
    run = small_run(tmp_path, family, **model)
    chapter = positions.make_chapter(ChapterContext(run), str)
    assert chapter.is_confirmed, chapter.findings
    assert (str(run) in " ".join(part for part in chapter.body if isinstance(part, str))) == shown
    chapter.plot()
