"""Chapter `loss`: the figures of the notes, on twenty seeds, and that a wrong one would be seen."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from glassgpt.explain import ChapterContext, chapter
from glassgpt.explain.chapters import loss
from glassgpt.explain.context import BUILTIN


@pytest.mark.parametrize("seed", range(20))
def test_every_figure_lies_where_theory_says(seed: int) -> None:
    found = chapter("loss", seed=seed, language="en")
    assert [finding.outcome for finding in found.findings] == ["ok"] * 4, found.findings


def test_the_figures_of_the_notes() -> None:
    found = {f.name: f for f in chapter("loss", language="en").findings}
    assert found["a uniform guess over 65 tokens, nats"].observed == pytest.approx(4.174, abs=1e-3)
    assert found["mean of 300 new tables, nats"].expected == pytest.approx(4.66, abs=5e-3)
    assert found["noise of a batch of 32 tokens, nats"].expected == pytest.approx(0.177, abs=1e-3)


def test_losses_of_tables_against_a_loop() -> None:
    losses = loss.table_losses(3, 4, torch.Generator().manual_seed(5))
    again = torch.Generator().manual_seed(5)
    tables = torch.randn(3, 65, 65, generator=again)
    tokens, targets = torch.randint(65, (2, 3, 4), generator=again)
    for i in range(3):
        each = [F.cross_entropy(tables[i, tokens[i, j]], targets[i, j]).item() for j in range(4)]
        assert losses[i].item() == pytest.approx(sum(each) / 4, rel=1e-5)


def test_wider_logits_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = loss.table_losses
    monkeypatch.setattr(loss, "table_losses", lambda n, k, g: right(n, k, g) + 0.1)
    verdicts = [finding.outcome for finding in chapter("loss", language="en").findings]
    assert verdicts == ["ok", "fail", "ok", "ok"]


def test_a_model_that_does_not_begin_ignorant_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = loss.initial_loss
    trained = lambda demo, seed: replace(right(demo, seed), target_logit=0.5)  # noqa: E731
    monkeypatch.setattr(loss, "initial_loss", trained)
    last = chapter("loss", language="en").findings[-1]
    assert last.outcome == "fail" and "initialization" in last.advice


def test_the_first_loss_is_taken_apart() -> None:
    demo = ChapterContext(BUILTIN / "text").demo("gpt")
    found = loss.initial_loss(demo, seed=0)
    assert found.normalizer == pytest.approx(math.log(demo.tokenizer.n_vocab), abs=0.01)
    assert found.total == pytest.approx(found.normalizer - found.target_logit)
