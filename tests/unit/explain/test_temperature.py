"""Chapter `temperature`: the notes' figures, the law of the entropy, and a model's own logits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from glassgpt.explain import ChapterContext
from glassgpt.explain import predictions as places
from glassgpt.explain.chapters import temperature
from glassgpt.explain.influence import held_out
from helpers.explain_runs import small_run


def failed() -> list[str]:
    findings = temperature.make_chapter(ChapterContext(), str).findings
    return [finding.name for finding in findings if finding.outcome == "fail"]


@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    assert temperature.make_chapter(ChapterContext(seed=seed), str).is_confirmed


def test_the_figures_of_the_notes() -> None:
    flat, plain, sharp = (temperature.by_hand(temperature.LOGITS, t) for t in (1.5, 1.0, 0.5))
    assert plain == pytest.approx([0.2546, 0.4640, 0.2814], abs=1e-4)
    assert sharp == pytest.approx([0.1805, 0.5991, 0.2204], abs=1e-4)
    assert max(flat) < max(plain) < max(sharp)


@pytest.mark.parametrize("t", [0.5, 1.0, 3.0])
def test_the_slope_against_its_derivative(t: float) -> None:
    logits = torch.randn(7, dtype=torch.float64)
    at = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    places.entropy((logits / at).softmax(-1)).backward()
    assert at.grad is not None
    assert temperature.slope_expected(logits, t) == pytest.approx(at.grad.item())
    assert temperature.slope(logits, t) == pytest.approx(at.grad.item(), abs=1e-5)


def test_multiplying_instead_of_dividing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temperature, "temperature", lambda logits, t: logits * t)
    assert {*failed()} >= {
        "largest probability at T = 0.5",
        "slope of the entropy at T = 1",
        "model: positions with an entropy that never falls as T rises",
    }


def test_a_temperature_that_reorders_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = temperature.temperature
    monkeypatch.setattr(temperature, "temperature", lambda logits, t: right(logits, t) * (-1 if t > 1 else 1))
    assert "model: positions with the same most probable token" in failed()


def test_places_and_losses_against_a_loop() -> None:
    demo = ChapterContext().demo("gpt")
    found = places.sample_predictions(demo, torch.Generator().manual_seed(1))
    tokens = held_out(demo, places.TEXTS, places.LENGTH, torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logits = demo.model(tokens)
    assert found.logits.shape == (8 * 63, demo.model.n_vocab)
    losses = found.losses(torch.tensor([0.5, 2.0], dtype=torch.float64))
    for t, loss in zip((0.5, 2.0), losses, strict=True):
        each = [F.cross_entropy(logits[i, :-1] / t, tokens[i, 1:]).item() for i in range(8)]
        assert loss.item() == pytest.approx(sum(each) / 8, rel=1e-4)
    ends = [F.softmax(logits[i, -1].double(), -1) for i in range(8)]
    assert places.entropy(found.next.softmax(-1)) == max(places.entropy(p) for p in ends)


def test_of_a_large_vocabulary_the_last_places_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = ChapterContext().demo("gpt")
    whole = places.sample_predictions(demo, torch.Generator().manual_seed(1))
    monkeypatch.setattr(places, "MOST", 5 * 8 * demo.model.n_vocab)
    part = places.sample_predictions(demo, torch.Generator().manual_seed(1))
    V = demo.model.n_vocab
    assert part.logits.view(8, 5, V).equal(whole.logits.view(8, 63, V)[:, -5:])
    assert part.targets.view(8, 5).equal(whole.targets.view(8, 63)[:, -5:])
    assert part.text == whole.text


@pytest.mark.parametrize("family", ["gpt", "bigram", "encoder", "seq2seq"])
def test_a_users_run(tmp_path: Path, family: str) -> None:
    chapter = temperature.make_chapter(ChapterContext(small_run(tmp_path, family)), str)
    assert chapter.is_confirmed
    assert (str(tmp_path) in str(chapter.body)) is (family in ("gpt", "bigram"))


def test_the_picture() -> None:
    pytest.importorskip("matplotlib")
    assert len(temperature.make_chapter(ChapterContext(), str).plot().axes) == 3
