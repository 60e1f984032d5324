"""The tables from both sides against a slow reference that can be read beside the formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassgpt.diagnose import BidirectionalNGram, NGram
from glassgpt.diagnose.bidirectional_ngram import drop_orders
from glassgpt.diagnose.kneser_ney import discounts

OUTSIDE = -1


def some_text(n: int, n_symbols: int, seed: int) -> np.ndarray:
    """Symbols in which the next depends on the last, with rare ones among them."""
    return np.cumsum(np.random.default_rng(seed).geometric(0.4, size=n)) % n_symbols


def slow_probability(
    train: list[int], n_vocab: int, context: dict[int, int], order: tuple[int, ...], symbol: int
) -> float:
    """Interpolated modified Kneser–Ney over neighbors, with dictionaries; `context` by offset."""
    used = [offset for offset in order if offset in context]
    at = dict(enumerate(train))
    rows = [tuple(at.get(i + o, OUTSIDE) for o in (*used, 0)) for i in range(len(train))]
    weights = {row: rows.count(row) for row in set(rows)}
    rungs = []
    for dropped in range(len(used) + 1):
        asked = tuple(context[o] for o in used[dropped:])
        taken = (0.0, *discounts(np.array(list(weights.values()), dtype=np.uint32)))
        followers = {row[-1]: count for row, count in weights.items() if row[:-1] == asked}
        rungs.append((taken, followers))
        shorter = [row[1:] for row in weights]
        weights = {row: shorter.count(row) for row in set(shorter)}
    p = 1 / n_vocab
    for taken, followers in reversed(rungs):
        if followers:
            freed = sum(taken[min(count, 3)] for count in followers.values())
            count = followers.get(symbol, 0)
            p = (count - taken[min(count, 3)] + freed * p) / sum(followers.values())
    return p


@pytest.mark.parametrize(("n", "n_symbols"), [(400, 5), (200, 20), (7, 3)])
def test_equals_the_slow_reference(n: int, n_symbols: int) -> None:
    train = some_text(n, n_symbols, seed=n)
    text = np.append(some_text(30, n_symbols, seed=1), [n_symbols, 0, 1])  # one was never counted
    hidden = np.random.default_rng(2).random(len(text)) < 0.4
    model = BidirectionalNGram(train, n_symbols + 2)
    got = model.probabilities(text, np.arange(len(text)), hidden)
    seen = set(train.tolist())
    for place, p in enumerate(got):
        near = [place + o for o in (-2, -1, 1, 2)]
        context = {
            i - place: int(text[i])
            for i in near
            if 0 <= i < len(text) and not hidden[i] and int(text[i]) in seen
        }
        want = slow_probability(train.tolist(), n_symbols + 2, context, model.order, int(text[place]))
        assert p == pytest.approx(want, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60),
    st.lists(st.integers(0, 6), min_size=1, max_size=5),
    st.integers(0, 31),
    st.integers(0, 4),
)
def test_probabilities_sum_to_one_in_any_context(
    train: list[int], text: list[int], hiding: int, place: int
) -> None:
    model = BidirectionalNGram(np.array(train), 7)
    place %= len(text)
    hidden = np.array([bool(hiding >> i & 1) for i in range(len(text))])
    probs = []
    for symbol in range(7):
        ids = np.array([*text[:place], symbol, *text[place + 1 :]])
        probs.append(model.probabilities(ids, np.array([place]), hidden).item())
    assert min(probs) > 0
    assert sum(probs) == pytest.approx(1, abs=1e-12)


def test_what_is_hidden_or_out_of_reach_is_not_looked_at() -> None:
    model = BidirectionalNGram(some_text(3000, 6, seed=0), 6)
    text = some_text(40, 6, seed=1)
    place = np.array([20])
    hidden = np.zeros(40, dtype=bool)
    hidden[[18, 21]] = True
    changed = (text + 1) % 6
    changed[[19, 20, 22]] = text[[19, 20, 22]]
    np.testing.assert_array_equal(
        model.probabilities(text, place, hidden), model.probabilities(changed, place, hidden)
    )
    shown = np.zeros(40, dtype=bool)
    assert model.probabilities(text, place, shown) != model.probabilities(changed, place, shown)


def test_both_sides_say_more_than_one() -> None:
    ids = np.random.default_rng(0).integers(0, 9, size=6001)
    ids[1::2] = (ids[:-1:2] + ids[2::2]) % 9  # every other symbol is the sum of its neighbors
    text = ids[-1001:]
    places = np.arange(1, 1000, 2)
    nothing = np.zeros(len(text), dtype=bool)
    both = BidirectionalNGram(ids[:5001], 9).probabilities(text, places, nothing)
    left = NGram(ids[:5001], 9, [3]).probabilities(text)[3][places]
    assert -np.log(both).mean() < 1.0 < 2.0 < -np.log(left).mean()
    assert BidirectionalNGram(ids[:5001], 9).order[-2:] in [
        (-1, 1),
        (1, -1),
    ]  # the neighbors that say most go last


def test_the_order_is_the_one_that_predicts_best(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.random.default_rng(0).integers(0, 12, size=4000)
    ids[2:] = (ids[:-2] // 3 + ids[2:] // 4) % 12  # what is two to the left says most
    chosen = BidirectionalNGram(ids, 12).order
    losses = {}
    for order in drop_orders(2):
        monkeypatch.setattr(BidirectionalNGram, "_choose_order", lambda self, order=order: order)
        model = BidirectionalNGram(ids[:3600], 12)
        p = model.probabilities(ids, np.arange(3600, 3998), np.zeros(4000, dtype=bool))
        losses[order] = -float(np.log(p).mean())
    assert max(losses.values()) - min(losses.values()) > 0.02
    assert losses[chosen] < min(losses.values()) + 0.005


@pytest.mark.parametrize("n_symbols", [7000, 70_000])
def test_all_neighbors_count_whatever_the_alphabet(n_symbols: int) -> None:
    ids = np.concatenate([np.arange(n_symbols), [n_symbols - 1] * 20])
    model = BidirectionalNGram(ids, n_symbols + 256)
    nothing = np.zeros(len(ids), dtype=bool)
    p = model.probabilities(ids, np.arange(len(ids)), nothing)
    assert len(model.order) == 4
    assert np.all((p > 0) & (p <= 1))
    assert p[-3] > 0.5


def test_no_places_and_a_text_of_one_symbol() -> None:
    model = BidirectionalNGram(np.zeros(1, dtype=np.uint8), 257)
    hidden = np.array([True])
    assert model.probabilities(np.array([0]), np.array([], dtype=np.intp), hidden).shape == (0,)
    assert 0.4 < model.probabilities(np.array([0]), np.array([0]), hidden).item() < 1
