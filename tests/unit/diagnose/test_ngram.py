"""The fast tables against a slow reference that can be read beside the formula."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassgpt.diagnose.kneser_ney import discounts
from glassgpt.diagnose.ngram import NGram


class SlowKneserNey:
    """Interpolated modified Kneser–Ney with dictionaries: p(s|h) = max(c − D, 0)/Σc + λ(h) · p(s|h[1:])."""

    def __init__(self, ids: list[int], n_vocab: int, order: int) -> None:
        self.n_vocab, self.order = n_vocab, order
        occurring = [
            Counter(tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)) for n in range(1, order + 1)
        ]
        followed = [Counter(gram[1:] for gram in longer) for longer in occurring[1:]]
        self.counts: list[Counter[tuple[int, ...]]] = [*followed, occurring[-1]]
        self.discounts = [
            dict(enumerate((0.0, *discounts(np.array(list(c.values()), dtype=np.uint32)))))
            for c in self.counts
        ]
        self.followers = [defaultdict(list) for _ in self.counts]
        for n, table in enumerate(self.counts):
            for gram, count in table.items():
                self.followers[n][gram[:-1]].append(count)

    def probability(self, history: tuple[int, ...], symbol: int, order: int | None = None) -> float:
        order = self.order if order is None else order
        if order == 0:
            return 1 / self.n_vocab
        context = history[len(history) - order + 1 :]
        counts = self.followers[order - 1][context] if len(history) >= order - 1 else []
        shorter = self.probability(history, symbol, order - 1)
        if not counts:
            return shorter
        taken = self.discounts[order - 1]
        count = self.counts[order - 1][(*context, symbol)]
        freed = sum(taken[min(c, 3)] for c in counts)
        return (count - taken[min(count, 3)] + freed * shorter) / sum(counts)


def some_text(n: int, n_symbols: int, seed: int) -> np.ndarray:
    """Symbols in which the next depends on the last, with rare ones among them."""
    rng = np.random.default_rng(seed)
    steps = rng.geometric(0.4, size=n)
    return np.cumsum(steps) % n_symbols


@pytest.mark.parametrize(("n", "n_symbols", "order"), [(3000, 7, 4), (2000, 40, 3), (60, 5, 5), (1500, 2, 8)])
def test_equals_the_slow_reference(n: int, n_symbols: int, order: int) -> None:
    ids = some_text(n, n_symbols, seed=order)
    train, val = ids[: n * 3 // 4], np.append(ids[n * 3 // 4 :], [n_symbols, 0, n_symbols + 1])
    fast = NGram(train, n_symbols + 2, orders=range(1, order + 1))
    both = np.concatenate([train, val])
    for k, got in fast.probabilities(both, len(train)).items():
        slow = SlowKneserNey(train.tolist(), n_symbols + 2, k)
        want = [
            slow.probability(tuple(both[:i].tolist())[-k:], int(both[i]))
            for i in range(len(train), len(both))
        ]
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60),
    st.lists(st.integers(0, 6), max_size=8),
    st.integers(1, 6),
)
def test_probabilities_sum_to_one_in_any_context(train: list[int], context: list[int], order: int) -> None:
    model = NGram(np.array(train), 7, orders=[1, order])
    asked = [model.probabilities(np.array([*context, symbol]), len(context)) for symbol in range(7)]
    for k in model.orders:
        probs = [answer[k].item() for answer in asked]
        assert min(probs) > 0
        assert sum(probs) == pytest.approx(1, abs=1e-12)


def test_history_before_the_first_symbol_counts() -> None:
    model = NGram(np.array([0, 1, 2] * 50), 3)
    alone = model.probabilities(np.array([1]))[3].item()
    after = model.probabilities(np.array([2, 0, 1]), n_context=2)[3].item()
    assert alone < 0.5 < 0.95 < after


def test_pieces_give_what_the_whole_gives() -> None:
    ids = some_text(5000, 30, seed=1)
    model = NGram(ids[:4000], 30, orders=[2, 6])
    whole = model.probabilities(ids[3990:], 10)
    for order in model.orders:
        pieces = [model.probabilities(ids[i - 10 : i + 250], 10)[order] for i in range(4000, 5000, 250)]
        np.testing.assert_array_equal(np.concatenate(pieces), whole[order])


@pytest.mark.parametrize("n_symbols", [65, 1226, 60_000])
def test_every_order_is_counted_whatever_the_alphabet(n_symbols: int) -> None:
    ids = np.concatenate([np.arange(n_symbols), np.arange(n_symbols)[::-1], [n_symbols - 1] * 20])
    model = NGram(ids, n_symbols + 256)
    assert model.orders[-1] == 10
    top = model.probabilities(ids)[10]
    assert np.all((top > 0) & (top <= 1))
    assert top[-1] > 0.5


def test_high_orders_of_a_large_alphabet_equal_the_slow_reference() -> None:
    ids = some_text(4000, 1226, seed=2)
    ids = np.concatenate([ids[:500], ids[:400], ids[500:900], ids[200:700]])
    fast, both = NGram(ids[:1500], 1226, orders={10}), ids
    slow = SlowKneserNey(ids[:1500].tolist(), 1226, 10)
    got = fast.probabilities(both, 1500)[10]
    want = [slow.probability(tuple(both[i - 10 : i].tolist()), int(both[i])) for i in range(1500, len(both))]
    np.testing.assert_allclose(got, want, rtol=1e-9)


def test_tables_stay_below_their_limit() -> None:
    ids = np.random.default_rng(0).integers(0, 90, size=20_000)
    model = NGram(ids, 90, max_grams=60_000)
    assert model.orders == (1, 2, 3, 4)
    assert sum(len(level.keys) for level in model.levels) <= 60_000


def test_only_the_orders_asked_for() -> None:
    model = NGram(some_text(500, 5, seed=0), 5, orders={1, 4})
    assert model.orders == (1, 4)
    assert sorted(model.probabilities(np.array([0, 1]))) == [1, 4]


def test_a_text_of_one_symbol() -> None:
    model = NGram(np.zeros(1, dtype=np.uint8), 257)
    assert model.orders == (1,)
    assert model.probabilities(np.array([0, 256]))[1][0] > 0.4
