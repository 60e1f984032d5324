"""Chapter `ladder`: each rung is better than the one below, on every machine and with every seed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from glassgpt.explain import Chapter, ChapterContext, chapter
from glassgpt.explain.chapters import ladder

V = 321
EXAMPLE = Path(__file__).parents[3] / "examples" / "lecture_gpt.py"


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "STEPS", 4)
    monkeypatch.setattr(ladder, "MARKS", (0, 2, 4))


def briefly() -> Chapter:
    return chapter("ladder", language="en")


@pytest.mark.timeout(300)
def test_each_rung_is_better_than_the_one_below_by_more_than_the_noise() -> None:
    found = briefly()
    assert [finding.outcome for finding in found.findings] == ["ok"] * 6, found.findings


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_order_holds_with_sixty_seeds() -> None:
    """Twenty times three seeds: the order never fails, and most gains are above the noise."""
    train, val = ladder.texts(ChapterContext().demo("gpt"))
    clear = []
    for seed in range(20):
        found = ladder.climb_all(V, train, val, seed)
        climbs = [ladder.Climb(name, *each) for name, each in found.items()]
        means = [each.last.mean().item() for each in climbs]
        assert means == sorted(means, reverse=True), (seed, means)
        gains = np.array(means[:-1]) - np.array(means[1:])
        clear += (gains >= ladder.noise_of(climbs)).tolist()
    assert np.mean(clear) >= 0.95


def test_the_same_seed_gives_the_same_losses_however_many_learn_at_once(
    few_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val = ladder.texts(ChapterContext().demo("gpt"))
    at_once = ladder.climb_all(V, train, val, 0)
    monkeypatch.setattr(ladder.os, "cpu_count", lambda: 1)
    alone, other = ladder.climb_all(V, train, val, 0), ladder.climb_all(V, train, val, 1)
    for name, (size, losses) in at_once.items():
        assert size == alone[name][0]
        torch.testing.assert_close(losses, alone[name][1])
        assert not torch.allclose(losses, other[name][1])


def test_an_upper_rung_that_learns_nothing_is_seen(few_steps: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head with its layer taken out knows no token: it cannot beat the table for long."""
    monkeypatch.setattr(ladder.Attention, "forward", lambda self, x, **_: 0 * x)
    outcomes = [finding.outcome for finding in briefly().findings]
    assert outcomes[3] == "unclear"  # eight heads that gather nothing are no better than one


def test_the_rungs_are_classes_of_the_example() -> None:
    source = EXAMPLE.read_text("utf-8")
    text = " ".join(part for part in chapter_text() if isinstance(part, str))
    named = set(re.findall(r"`(\w+)`", text))
    assert named == {"Bigram", "Head", "MultiHead", "Block", "FeedForward", "blocks"}
    for name in named:
        assert re.search(rf"^(class|def) {name}\b", source, re.MULTILINE), name


def chapter_text() -> list[str]:
    climbs = [ladder.Climb(name, 1, torch.rand(3, 5)) for name in ladder.rungs(V)]
    return ladder._text(str, ChapterContext().demo("gpt"), climbs, 2.0)


def test_no_table_of_pairs_is_better_than_the_texts_own_counts() -> None:
    """The least is reached by the table counted on that text, and by no other."""
    val = ladder.texts(ChapterContext().demo("gpt"))[1]
    rows = (len(val) - 1) // ladder.T * ladder.T
    pairs = Counter(zip(val[:rows].tolist(), val[1 : rows + 1].tolist(), strict=True))
    firsts: dict[int, int] = defaultdict(int)
    for (a, _), n in pairs.items():
        firsts[a] += n
    nats = -sum(n * np.log(n / firsts[a]) for (a, _), n in pairs.items()) / rows
    assert ladder.pair_entropy(val, V) == pytest.approx(nats, abs=1e-9)
    table = ladder.rungs(V)["bigram"]()
    counted = torch.full((V, V), -30.0)
    for (a, b), n in pairs.items():
        counted[a, b] = np.log(n / firsts[a])
    with torch.no_grad():
        next(table.parameters()).copy_(counted)
    assert ladder.loss_on(table, val).item() == pytest.approx(nats, abs=1e-3)


def test_a_rung_that_sees_the_future_would_be_seen(few_steps: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bigram below what pairs leave open has seen more than pairs."""
    monkeypatch.setattr(ladder, "pair_entropy", lambda val, n_vocab: 10.0)
    assert briefly().findings[1].outcome == "fail"
