"""What is hidden is decided by the seed, is what is asked for, and is asked for once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glassgpt.data import (
    IGNORE,
    MaskedWindows,
    Split,
    TrainWindows,
    eval_mask,
    masked_eval_batches,
    sliding_masked_batches,
)

MASK = 5000


def split(n: int) -> Split:
    return Split(np.arange(n, dtype=np.uint16), n, n)


def windows(seed: int = 3, fraction: float = 0.15) -> MaskedWindows:
    return MaskedWindows(split(1000), 16, seed, MASK, fraction)


def test_a_batch_depends_on_nothing_but_seed_and_index() -> None:
    ahead = windows()
    for i in range(40):
        ahead.batch(i, 4)
    again, direct = ahead.batch(7, 4), windows().batch(7, 4)
    assert torch.equal(again.tokens, direct.tokens) and torch.equal(again.targets, direct.targets)
    for other in (windows(seed=4).batch(7, 4), direct._replace(tokens=windows().batch(8, 4).tokens)):
        assert not torch.equal(other.tokens, direct.tokens)


def test_other_places_are_hidden_when_a_window_comes_again() -> None:
    gaps = [windows().batch(i, 4).targets != IGNORE for i in range(6)]
    assert len({tuple(gap.flatten().tolist()) for gap in gaps}) == 6


@pytest.mark.parametrize(("fraction", "n_hidden"), [(0.15, 10), (0.5, 32), (0.001, 1)])
def test_a_share_is_hidden_and_only_that_is_asked_for(fraction: float, n_hidden: int) -> None:
    tokens, targets, source, _ = windows(fraction=fraction).batch(2, 4)
    whole = TrainWindows(split(1000), 16, seed=3).batch(2, 4).tokens
    asked = targets != IGNORE
    assert source is None and int(asked.sum()) == n_hidden
    assert (tokens[asked] == MASK).all() and torch.equal(tokens[~asked], whole[~asked])
    assert torch.equal(targets[asked], whole[asked])


def test_the_same_places_are_hidden_each_time_it_is_measured() -> None:
    hidden = eval_mask(200, seed=1)
    assert hidden.shape == (200,) and hidden.dtype == bool and hidden.sum() == 30
    assert np.array_equal(hidden, eval_mask(200, seed=1))
    assert not np.array_equal(hidden, eval_mask(200, seed=2))
    assert eval_mask(1, seed=1).tolist() == [True]


@pytest.mark.parametrize("n", [1, 5, 16, 17, 64, 65, 1000])
@pytest.mark.parametrize("B", [1, 3])
def test_each_hidden_token_is_a_target_once_and_no_other(n: int, B: int) -> None:
    hidden, asked = eval_mask(n, seed=1), []
    hidden[-1] = True  # in a last window that may be shorter than the others
    for tokens, targets, *_ in masked_eval_batches(split(n), hidden, 16, B, MASK):
        assert tokens.shape == targets.shape and tokens.shape[0] <= B and tokens.shape[1] <= 16
        gaps = targets != IGNORE
        assert gaps.any() and (tokens[gaps] == MASK).all()
        context = tokens.where(~gaps, targets)  # ids count up, so a window put together again does as well
        assert torch.equal(context - context[:, :1], torch.arange(tokens.shape[1]).expand_as(context))
        asked += targets[gaps].tolist()
    assert asked == np.flatnonzero(hidden).tolist()


@pytest.mark.parametrize("n", [1, 5, 16, 17, 64, 1000])
def test_sliding_windows_show_both_sides_of_each_gap(n: int) -> None:
    hidden, asked = eval_mask(n, seed=1), []
    hidden[-1] = True
    for tokens, targets, *_ in sliding_masked_batches(split(n), hidden, hidden, 16, 3, MASK):
        for row, place in (targets != IGNORE).nonzero().tolist():
            target = int(targets[row, place])
            asked.append(target)
            assert place >= min(4, target) and len(tokens[row]) - 1 - place >= min(4, n - 1 - target)
            first = target - place  # of the window
            shown = np.where(
                hidden[first : first + len(tokens[row])], MASK, np.arange(first, first + len(tokens[row]))
            )
            assert tokens[row].tolist() == shown.tolist()
    assert asked == np.flatnonzero(hidden).tolist()


def test_sliding_windows_of_some_gaps_hide_the_others_too() -> None:
    hidden = eval_mask(200, seed=1)
    some = hidden & (np.arange(200) > 120)
    batches = list(sliding_masked_batches(split(200), hidden, some, 16, 4, MASK))
    asked = [t for b in batches for t in b.targets[b.targets != IGNORE].tolist()]
    assert asked == np.flatnonzero(some).tolist()
