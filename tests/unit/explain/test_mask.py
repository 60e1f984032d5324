"""Chapter `mask`: an encoder's positions are all connected, a decoder's only to themselves and the past."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glassgpt.explain import ChapterContext
from glassgpt.explain.chapters import mask
from glassgpt.explain.influence import held_out
from glassgpt.nn import AttnMask
from helpers.explain_runs import small_run


@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    assert mask.make_chapter(ChapterContext(seed=seed), str).is_confirmed


def test_a_decoder_without_its_mask_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AttnMask, "causal", lambda *_, **__: AttnMask.full())
    failed = [f.name for f in mask.make_chapter(ChapterContext(), str).findings if f.outcome == "fail"]
    assert "connected pairs, decoder" in failed
    assert "gradient from the token to predict" in failed
    assert "largest weight on the future" in failed
    assert "one pass ↔ one pass for each beginning, logits" in failed


def test_an_encoder_that_looks_back_only_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AttnMask, "padding", lambda real, **_: AttnMask.causal(real.shape[1]))
    failed = [f.name for f in mask.make_chapter(ChapterContext(), str).findings if f.outcome == "fail"]
    assert failed == ["connected pairs, encoder"]


def test_unmasked_shows_every_score_and_ends() -> None:
    demo = ChapterContext().demo("gpt")
    tokens = held_out(demo, 1, 8, torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = demo.model(tokens)
        with mask.unmasked(demo.model):
            lifted = demo.model(tokens)
        assert torch.equal(demo.model(tokens), before)
    assert not torch.allclose(lifted[:, 0], before[:, 0])
    assert not torch.allclose(lifted[:, -1], before[:, -1])  # what it looks at has seen more, too


def test_the_head_is_the_models_own() -> None:
    demo = ChapterContext().demo("gpt")
    tokens = held_out(demo, 1, 8, torch.Generator().manual_seed(0))
    head = mask.widest_head(demo.model, tokens)
    hidden = torch.ones(8, 8).triu(1).bool()
    assert torch.isneginf(head.masked[hidden]).all() and torch.isfinite(head.scores).all()
    assert torch.equal(head.masked[~hidden], head.scores[~hidden])
    assert torch.allclose(head.weights, head.masked.softmax(-1))


@pytest.mark.parametrize(
    ("family", "model"),
    [
        ("gpt", {"preset": "gpt2"}),
        ("gpt", {"n_kv_head": 1}),
        ("encoder", {}),
        ("bigram", {}),
        ("seq2seq", {}),
    ],
)
def test_a_users_run(tmp_path: Path, family: str, model: dict) -> None:
    assert mask.make_chapter(ChapterContext(small_run(tmp_path, family, **model)), str).is_confirmed
