"""Drafts: the longest known n-gram decides, and drafts change no probability."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glassgpt.generate import Engine, PromptLookup, Request, SamplingParams, probabilities
from helpers.zoo import make, wake


def test_the_longest_ngram_decides_and_the_latest_place() -> None:
    draft = PromptLookup(n_draft=2, max_ngram=3, min_ngram=2)
    assert draft.propose([1, 2, 7, 7, 0, 2, 8, 8, 1, 2]) == [7, 7]
    assert draft.propose([1, 2, 7, 1, 2, 8, 1, 2]) == [8, 1]
    assert draft.propose([1, 2, 3, 4]) == []
    assert draft.propose([5]) == []
    assert draft.propose([6, 6, 6, 6]) == [6]


def test_in_a_text_the_most_frequent_follower_is_guessed() -> None:
    text = np.array([1, 2, 3, 1, 2, 4, 1, 2, 4, 9, 9, 9], dtype=np.uint16)
    draft = PromptLookup(n_draft=3, max_ngram=3, min_ngram=2, text=text)
    assert draft.propose([0, 1, 2]) == [4, 1, 2]
    assert draft.propose([5, 1, 2, 3]) == [1, 2, 4]
    assert draft.propose([7, 7]) == []
    assert draft.propose([7, 8, 5, 7, 8]) == [5, 7, 8]  # not in the text, but in what was written


def test_a_text_that_is_too_short_is_no_trouble() -> None:
    assert PromptLookup(text=np.array([1, 2], dtype=np.uint8)).propose([1, 2, 3]) == []


def test_all_ngrams_of_a_long_text_are_found() -> None:
    rng = np.random.default_rng(0)
    text = rng.integers(0, 5, 5000)
    draft = PromptLookup(n_draft=1, max_ngram=4, min_ngram=4, text=text)
    for at in range(0, 4900, 97):
        ngram = tuple(text[at : at + 4])
        after = [text[i + 4] for i in range(4996) if tuple(text[i : i + 4]) == ngram]
        counts = np.bincount(after, minlength=5)
        assert counts[draft.propose(ngram)[0]] == counts.max()


def deviations(counts: torch.Tensor, p: torch.Tensor) -> float:
    """χ² of counts (rows, V) against each row's probabilities, in standard deviations from its mean."""
    expected = p * counts.sum(-1, keepdim=True)
    kept = expected > 5
    statistic = ((counts - expected) ** 2 / expected)[kept].sum().item()
    freedom = int(kept.sum()) - int(kept.any(-1).sum())
    return (statistic - freedom) / (2 * freedom) ** 0.5


@pytest.mark.parametrize(
    "n", [4_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_guessing_leaves_the_distribution_alone(n: int) -> None:
    """A model that sees one token only, so that all chances are known; each next token is guessed."""
    torch.manual_seed(3)
    model = wake(make("modern", n_layer=1, n_embd=16, n_head=1, block_size=64, window=1, position="none"))
    params = SamplingParams(temperature=0.4, top_k=6)
    with torch.no_grad():
        p = probabilities(model(torch.arange(65)[:, None])[:, -1], params)  # (V, V)
    pairs = torch.stack((torch.arange(65), p.argmax(-1)), dim=-1)
    likeliest = pairs.repeat(1, 3).flatten().numpy()  # each pair more often than what lies between pairs
    engine = Engine(
        model, max_batch=1, draft=PromptLookup(n_draft=3, max_ngram=1, min_ngram=1, text=likeliest)
    )
    ids = [1, *(token.id for token in engine.stream(Request([1], params, n, seed=1)))]
    counts = torch.zeros(65, 65)
    counts.index_put_((torch.tensor(ids[:-1]), torch.tensor(ids[1:])), torch.ones(n), accumulate=True)
    found = deviations(counts, p)
    n_accepted = engine.stats.n_accepted
    print(f"{n:,} draws, {n_accepted:,} of them guessed: χ² is {found:+.2f} standard deviations off")
    assert n_accepted > n / 4, "few were guessed right: the test shows nothing"
    assert counts[p == 0].sum() == 0 and abs(found) < 4
    skewed = p.clone()
    skewed[p > 0] *= 1 + 0.2 * (torch.arange(65).expand(65, -1)[p > 0] % 2)
    assert n < 10_000 or deviations(counts, skewed / skewed.sum(-1, keepdim=True)) > 10, "blind to 10 %"
