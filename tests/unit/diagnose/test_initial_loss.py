"""The figures of the notes: 4.17 uniform, 4.67 expected, 0.18 the noise of 32 tokens, which covers 4.87."""

import numpy as np
import pytest

from glassgpt.diagnose import expected_initial_loss, initial_loss_noise


def losses(n_tables: int, n_tokens: int, seed: int = 0) -> np.ndarray:
    """Loss of each of some random bigram tables over 65 tokens, N(0, 1), on a batch."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_tables):
        logits = rng.standard_normal((65, 65))
        tokens, targets = rng.integers(0, 65, (2, n_tokens))
        rows = logits[tokens]
        found.append(np.mean(np.log(np.exp(rows).sum(1)) - rows[np.arange(n_tokens), targets]))
    return np.array(found)


def test_random_tables_cost_what_is_expected() -> None:
    measured = losses(n_tables=300, n_tokens=4000)
    assert measured.mean() == pytest.approx(expected_initial_loss(65, 1.0), abs=0.02)
    assert measured.mean() == pytest.approx(4.66, abs=0.01)


def test_noise_of_a_batch_of_32() -> None:
    measured = losses(n_tables=3000, n_tokens=32)
    assert measured.std() == pytest.approx(initial_loss_noise(32, 1.0), rel=0.05)
    assert 4.87 < measured.mean() + 2 * measured.std()


def test_no_variance_is_the_uniform_guess() -> None:
    assert expected_initial_loss(65, 0.0) == pytest.approx(4.174, abs=5e-4)
