"""Paired differences: exact error of the sequential test, its interval, and the sentences."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import permutation_test

from glassgpt.diagnose import compare_all, compare_pairs, is_decided, paired, pairs_needed
from glassgpt.diagnose.sign_flips import (
    ALPHA,
    bca_interval,
    first_rejection,
    holm,
    interval,
    sign_flip_p,
    spent,
)

RNG = np.random.default_rng(3)
REAL = [0.021, 0.018, 0.025, 0.02, 0.023, 0.019]


@pytest.mark.parametrize("planned", [6, 7, 8])
def test_the_share_of_false_claims_at_all_looks_together_is_at_most_alpha(planned: int) -> None:
    sizes = RNG.exponential(size=planned)
    patterns = [np.array(signs) * sizes for signs in product((1, -1), repeat=planned)]
    claims = sum(first_rejection(d, planned) is not None for d in patterns)
    assert 0.03 * len(patterns) <= claims <= ALPHA * len(patterns)


def test_equal_differences_of_one_sign_are_found_after_six_of_eight_pairs() -> None:
    assert first_rejection(np.ones(8), 8) == 6
    assert first_rejection(np.ones(5), 8) is None


def test_a_look_spends_no_more_than_its_share() -> None:
    assert spent(8, 8) == ALPHA and spent(12, 8) == ALPHA and spent(4, 8) == ALPHA / 2


def test_the_p_value_is_that_of_scipy() -> None:
    for _ in range(5):
        d = RNG.normal(0.5, 1, size=7)
        expected = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
        assert sign_flip_p(d) == pytest.approx(expected)


def test_the_interval_holds_exactly_the_means_that_are_not_excluded() -> None:
    d = RNG.normal(0.3, 1, size=8)
    low, high = interval(d, 8)
    assert low is not None and high is not None
    for mean, excluded in (
        (low - 1e-6, True),
        (low + 1e-6, False),
        (high - 1e-6, False),
        (high + 1e-6, True),
    ):
        assert (first_rejection(d - mean, 8) is not None) == excluded


def test_the_interval_moves_and_grows_with_the_differences() -> None:
    d = RNG.normal(size=8)
    low, high = interval(d, 8)
    moved = interval(10 * d + 3, 8)
    assert moved == pytest.approx((10 * low + 3, 10 * high + 3), abs=1e-6)  # pyright: ignore[reportOptionalOperand]


def test_few_pairs_have_no_interval() -> None:
    found = paired(REAL[:5], planned=5)
    assert (found.low, found.high, found.bca, found.detectable) == (None, None, None, None)
    assert not found.is_real


def test_equal_arms_are_decided_after_two_pairs() -> None:
    assert not is_decided([0.0], 8)
    assert is_decided([0.0, 0.0], 8)
    assert compare_pairs([(1.5, 1.5), (1.4, 1.4)], 8).sentence.startswith("A and B do not differ")


def test_both_methods_decide() -> None:
    assert is_decided(REAL, 8) and not is_decided(REAL[:5], 8)
    assert not is_decided([-REAL[0], *REAL[1:]], 8)


def test_constant_differences_have_a_bootstrap_interval() -> None:
    assert bca_interval(np.full(6, 0.5)) == (0.5, 0.5)


def test_holm_corrects_and_never_orders_anew() -> None:
    assert holm([0.2]) == [0.2]
    assert holm([0.01, 0.04, 0.03, 0.9]) == pytest.approx([0.04, 0.09, 0.09, 0.9])


def test_sentences() -> None:
    better = compare_pairs([(1.5, 1.5 - d) for d in REAL], 8)
    size = "0.021 nats per character (95 %: 0.018 to 0.025)"
    assert better.sentence == f"B is better by {size}, 1.4 % of the loss of A."
    assert better.finding.outcome == "ok" and better.finding.observed == pytest.approx(0.021)
    worse = compare_pairs([(1.5, 1.5 + d) for d in REAL], 8)
    assert worse.sentence == f"A is better by {size}, 1.4 % of the loss of A."
    none = compare_pairs([(1.5, 1.5 + d) for d in (0.02, -0.02, 0.01, -0.01, 0.015, -0.015, 0.01, -0.01)], 8)
    assert none.sentence.startswith("No real difference; one of 0.022 nats per character or more")
    assert none.finding.outcome == "unclear"
    few = compare_pairs([(1.5, 1.4)] * 3, 3)
    assert few.sentence.startswith("Too few pairs to tell: with 3 of 3")


def test_a_sweep_compares_with_the_first_and_corrects() -> None:
    base = 1.5 + 0.02 * RNG.normal(size=8)
    noise = 0.002 * RNG.normal(size=(3, 8))
    found = compare_all(
        {"a": base, "b": base - 0.03 + noise[0], "c": base + 0.03 + noise[1], "d": base + noise[2]}
    )
    assert [each.is_real for each in found.comparisons] == [True, True, False]
    assert found.sentence.startswith("b is better than a by 0.029 nats per character (95 %: 0.027 to 0.031)")
    assert "c is worse than a; d and a show no real difference." in found.sentence
    few = compare_all({name: base[:6] for name in "abcde"})
    assert "with 4 comparisons it takes 8 pairs" in few.sentence and pairs_needed(4) == 8
