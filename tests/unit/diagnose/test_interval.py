"""The interval of a difference: its coverage, and the losses that it comes from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from glassgpt.diagnose import PartSums, Score, judge, loss_interval
from glassgpt.diagnose.interval import n_parts, part_of, student_t, sum_interval


@pytest.mark.parametrize(("alike", "low"), [(0.0, 0.94), (0.5, 0.92)])
def test_the_interval_covers_a_mean_of_correlated_parts(alike: float, low: float) -> None:
    """Also where neighbors are alike, about 95 % of the intervals hold the true mean."""
    noise = np.random.default_rng(0).normal(size=(2000, 65))
    worlds = noise[:, 1:] + alike * noise[:, :64]
    covered = [abs(world.sum()) <= sum_interval(world) for world in worlds]
    assert low < np.mean(covered) < 0.97
    if alike:  # independent parts would be taken for more than they are
        naive = [abs(world.sum()) <= 2 * world.std() * 8 for world in worlds]
        assert np.mean(naive) < 0.9


@pytest.mark.parametrize("df", [3, 7, 31, 200])
def test_student_t(df: int) -> None:
    assert student_t(df) == pytest.approx(student.ppf(0.975, df), rel=0.03)


def test_differences_count_not_the_losses_themselves() -> None:
    hard = np.random.default_rng(0).normal(100, 50, 64)  # passages that both find hard
    one, other = (
        Score(name, sum(hard + d), 640_000, 640_000, parts=tuple(hard + d))
        for name, d in (("a", 0), ("b", 1))
    )
    assert loss_interval(one, other) < 1e-4
    alone = Score("xz", sum(hard), 640_000, 640_000)
    assert loss_interval(one, alone) == pytest.approx(sum_interval(hard) / 640_000)
    assert loss_interval(alone, alone) == pytest.approx(2 * 2.0 / 800)


def test_mixed_text_gets_a_wider_interval_than_the_typical_one() -> None:
    lead = np.where(np.arange(64) < 16, 40.0, -5.0)  # a quarter of the text is of another kind
    one = Score("a", 1.0, 6400, 6400, parts=tuple(np.zeros(64)))
    other = Score("b", 1.0, 6400, 6400, parts=tuple(lead))
    assert loss_interval(one, other) > 0.06 > 2 * 2.0 / 80


@pytest.mark.parametrize("n", [500, 1_000, 2_000, 4_000, 6_000])
def test_the_interval_of_a_short_text_is_honest(n: int) -> None:
    """Passages of about 200 characters are alike, as in real text: few of them fit into a short one."""
    rng, k = np.random.default_rng(n), n_parts(n)
    parts, held = part_of(np.ones(n), k, n), []
    other = Score("7-gram", 1.0, n, n, parts=(0.0,) * k)
    for _ in range(400):
        passages = np.repeat(rng.normal(0, 0.08, n // 50 + 1), rng.geometric(1 / 200, n // 50 + 1))[:n]
        each = passages + rng.normal(0, 1, n)  # differences of two n-grams have a deviation of 1 or so
        sums = np.bincount(parts, weights=each, minlength=k)
        held.append(abs(each.mean()) <= loss_interval(Score("m", 1.0, n, n, parts=tuple(sums)), other))
    assert np.mean(held) > 0.93


def test_a_symbol_belongs_to_the_part_in_which_it_starts() -> None:
    sums = PartSums(n_parts(1000), 1000)
    for _ in range(4):
        sums.add(np.ones(125), np.full(125, 2))
    assert sums.nats.tolist() == [50.0] * 10
    sums.add([7.0], [0])  # a special token at the end
    assert sums.nats[-1] == 57.0


def test_a_model_measured_on_some_parts_is_compared_on_these() -> None:
    parts = tuple(float(i) for i in range(20))
    table = Score("7-gram", 190.0, 1000, 1000, kind="ngram", parts=parts)
    zip_ = Score("xz", 180.0, 1000, 1000, kind="compressor")
    mine = tuple(None if i % 2 else i - 0.5 for i in range(20))
    found = judge([table, zip_], Score("this model", 85.0, 500, 500, parts=mine))
    assert found.notes == (
        "no row for the file compressor xz: only the loss on the whole held-out text is known",
    )
    assert [row.name for row in found.baselines] == ["7-gram"]
    assert found.baselines[0].total_nats == 90.0 and found.baselines[0].n_chars == 500
    assert found.margin and found.margin.lead == pytest.approx(0.01)  # 5 nats in 500 characters
