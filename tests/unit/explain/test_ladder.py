"""Chapter `ladder`: what each rung can and cannot do, with the seconds cut to what a test may take."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from glassgpt.errors import UserError
from glassgpt.explain import Chapter, ChapterContext, chapter
from glassgpt.explain.chapters import ladder

V = 321


def briefly(seed: int) -> Chapter:
    return chapter("ladder", seed=seed, seconds=0.01, language="en")


def check(seed: int) -> None:
    *firm, last = [finding.outcome for finding in briefly(seed).findings]
    assert firm == ["ok"] * 3 and last in ("ok", "unclear")


@pytest.mark.parametrize("seed", range(4))
def test_what_holds_after_any_time_holds(seed: int) -> None:
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 20))
def test_what_holds_after_any_time_holds_on_more_seeds(seed: int) -> None:
    check(seed)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_given_time_the_gpt_passes_every_table_of_pairs() -> None:
    """With ten seconds a rung on an idle, quick core, more on others; the table never gets there."""
    for seconds in (10.0, 30.0):
        found = chapter("ladder", seconds=seconds, language="en")
        if found.findings[-1].outcome == "ok":
            break
    else:
        pytest.fail(f"the last finding is {found.findings[-1]}")
    assert found.is_confirmed


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
    table = ladder.rungs(V)["bigram"]
    counted = torch.full((V, V), -30.0)
    for (a, b), n in pairs.items():
        counted[a, b] = np.log(n / firsts[a])
    with torch.no_grad():
        table.table.weight.copy_(counted)
    assert ladder.loss_on(table, val) == pytest.approx(nats, abs=1e-3)


def test_a_rung_that_sees_the_future_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bigram below what pairs leave open has seen more than pairs."""
    monkeypatch.setattr(ladder, "pair_entropy", lambda val, n_vocab: 10.0)
    assert briefly(0).findings[1].outcome == "fail"


def test_all_rungs_have_read_the_same_text_after_the_same_steps() -> None:
    train, val = ladder.texts(ChapterContext().demo("gpt"))
    seen = []
    for name in ("bigram", "head"):
        generator = torch.Generator().manual_seed(3)
        seen.append(ladder._draw_tokens(train, generator))
        assert ladder.climb(name, ladder.rungs(V)[name], train, val, 0.0001, 3).steps == ladder.ALIKE
    assert torch.equal(*seen)


def test_seconds_are_the_ladders_alone() -> None:
    with pytest.raises(UserError, match="only `ladder`"):
        chapter("loss", seconds=1.0)
    with pytest.raises(UserError, match="up to 3,600"):
        chapter("ladder", seconds=0.0)
