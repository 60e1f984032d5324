"""Baselines of masked tokens: the same positions for all, and more context helps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glassgpt.diagnose import masked_baselines


def test_masked_tokens_alone_are_scored_and_neighbors_help() -> None:
    train, val = np.tile([0, 1, 2], 200), np.tile([0, 1, 2], 20)
    masked = np.zeros(60, dtype=bool)
    masked[::5] = True
    uniform, unigram, neighbors = masked_baselines(train, val, masked, n_vocab=7, n_chars=12, n_bytes=24)
    assert [row.kind for row in (uniform, unigram, neighbors)] == ["uniform", "ngram", "bidirectional_ngram"]
    assert uniform.nats_per_char == pytest.approx(math.log(3))
    assert unigram.nats_per_char == pytest.approx(math.log(3), rel=0.01)
    assert neighbors.nats_per_char < 0.1 and neighbors.n_bytes == 24


def test_a_bounded_count_reads_the_end_and_says_so() -> None:
    train = np.concatenate([np.tile([2, 2, 0], 200), np.tile([0, 1, 2], 200)])
    val, masked = np.tile([0, 1, 2], 20), np.arange(60) % 5 == 0
    given = (train, val, masked, 7, 12, 24)
    whole, end = masked_baselines(*given)[1], masked_baselines(*given, max_counted=600)[1:]
    assert end[0].nats_per_char == pytest.approx(math.log(3), rel=0.01)
    assert whole.nats_per_char > 1.15
    assert "counted on the last 600 training tokens" in end[1].detail


def test_a_token_that_training_never_saw_costs_the_whole_vocabulary() -> None:
    train, val = np.tile([0, 1], 50), np.array([0, 6, 0, 1])
    masked = np.array([False, True, False, True])
    (uniform, *_) = masked_baselines(train, val, masked, n_vocab=7, n_chars=2, n_bytes=2)
    assert uniform.total_nats == pytest.approx(2 * math.log(7))
