"""Batches are a pure function of (seed, index), and evaluation predicts each token once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glassgpt.data import (
    IGNORE,
    Batch,
    Split,
    TokenData,
    TrainWindows,
    context_pairs,
    eval_batches,
    sliding_batches,
)


def split(n: int, first: int = 0) -> Split:
    return Split(np.arange(first, first + n, dtype=np.uint16), n, n)


def test_a_batch_depends_on_nothing_but_its_index() -> None:
    ahead, direct = TrainWindows(split(1000), 16, seed=5), TrainWindows(split(1000), 16, seed=5)
    for i in range(40):
        ahead.batch(i, 4)
    assert torch.equal(ahead.batch(7, 4).tokens, direct.batch(7, 4).tokens)
    other = TrainWindows(split(1000), 16, seed=6)
    assert not torch.equal(other.batch(7, 4).tokens, direct.batch(7, 4).tokens)


def test_an_epoch_shows_each_window_once_and_the_next_one_differs() -> None:
    windows = TrainWindows(split(1000), 16, seed=0)
    n = windows.per_epoch
    first, second = windows.batch(0, n).tokens, windows.batch(1, n).tokens
    assert len(first.unique()) == n * 16
    assert not torch.equal(first.sort(dim=0).values, second.sort(dim=0).values) or not torch.equal(
        first, second
    )


def test_targets_are_the_next_tokens() -> None:
    tokens, targets, *_ = TrainWindows(split(200), 8, seed=0).batch(0, 5)
    assert torch.equal(tokens + 1, targets)


@pytest.mark.parametrize("n", [17, 18, 33, 100])
def test_short_texts_have_windows_too(n: int) -> None:
    windows = TrainWindows(split(n), 16, seed=1)
    assert windows.batch(3, 7).targets.max() < n


@pytest.mark.parametrize("n_val", [1, 5, 16, 17, 64, 65, 1000])
@pytest.mark.parametrize("B", [1, 3])
def test_evaluation_predicts_every_token_once_from_its_predecessor(n_val: int, B: int) -> None:
    data = TokenData(split(50), split(n_val, first=50))
    seen = []
    for tokens, targets, *_ in eval_batches(data, block_size=16, B=B):
        real = targets != IGNORE
        assert torch.equal(tokens[real] + 1, targets[real])
        seen += targets[real].tolist()
    assert seen == list(range(50, 50 + n_val))


@pytest.mark.parametrize("n_val", [1, 5, 16, 17, 64, 65, 1000])
@pytest.mark.parametrize(("n_train", "T"), [(50, 16), (50, 15), (4, 3), (50, 1), (50, 2)])
def test_sliding_windows_predict_every_token_once_with_half_a_block_of_past(
    n_val: int, n_train: int, T: int
) -> None:
    data = TokenData(split(n_train), split(n_val, first=n_train))
    seen = []
    for tokens, targets, *_ in sliding_batches(data, block_size=T, B=3):
        assert tokens.shape[1] == T
        real = targets != IGNORE
        assert torch.equal(tokens[real] + 1, targets[real])
        for row, place in real.nonzero().tolist():
            past = tokens[row, : place + 1]
            assert len(past) >= min(T // 2, targets[row, place].item())
            assert torch.equal(past, torch.arange(past[0].item(), past[0].item() + len(past)))
        seen += targets[real].tolist()
    assert seen == list(range(n_train, n_train + n_val))


def test_sliding_windows_of_some_ranges() -> None:
    data = TokenData(split(50), split(100, first=50))
    batches = sliding_batches(data, block_size=16, B=2, ranges=[(0, 10), (30, 41), (99, 100)])
    seen = [t for _, targets, *_ in batches for t in targets[targets != IGNORE].tolist()]
    assert seen == [*range(50, 60), *range(80, 91), 149]


LIST = "".join(f"{name}\n" for name in ("ada", "bo", "cleo", "dan", "eve", "flo", "gus", "hal", "ivy", "jo"))


def list_windows(T: int, seed: int = 0) -> TrainWindows:
    ids = np.frombuffer(LIST.encode(), np.uint8)
    return TrainWindows(Split(ids, len(ids), len(ids)), T, seed, line_end=ord("\n"))


def test_lines_of_a_list_have_a_new_order_in_each_epoch_and_are_never_mixed() -> None:
    windows = list_windows(T=12)
    texts = [bytes(windows.batch(i, 1).tokens[0].tolist()).decode() for i in range(40 * windows.per_epoch)]
    assert all(text.startswith("\n") for text in texts)
    assert {line for text in texts for line in text[1:].split("\n")[:-1]} == set(LIST.split())
    followed = {tuple(text[1:].split("\n")[:2]) for text in texts if text.count("\n") > 2}
    assert len({after for before, after in followed if before == "ada"}) > 2
    assert torch.equal(list_windows(T=12).batch(21, 2).tokens, windows.batch(21, 2).tokens)


def test_a_line_longer_than_a_window_is_learned_to_its_end() -> None:
    windows = list_windows(T=2)
    seen = {bytes(windows.batch(i, 1).tokens[0].tolist()) for i in range(30 * windows.per_epoch)}
    assert b"eo" in seen and b"\nc" in seen


def test_pairs_show_the_same_targets_with_more_context() -> None:
    data = TokenData(split(50), split(1000, first=50), None, None)  # pyright: ignore[reportArgumentType]
    evaluated = {int(t) for _, targets, *_ in eval_batches(data, 16, 4, stride=2) for t in targets[:, 0]}
    rows = [(alone, more) for a, b in context_pairs(data, 16, 4, stride=2) for alone, more in _rows(a, b)]
    assert len(rows) > 5
    for (tokens, targets), (more_tokens, more_targets) in rows:
        assert int(targets[0]) in evaluated and torch.equal(targets, more_targets[8:])
        assert (more_targets[:8] == IGNORE).all() and torch.equal(tokens, more_tokens[8:])
        assert torch.equal(more_tokens[1:] - more_tokens[:-1], torch.ones(15, dtype=torch.long))
        assert torch.equal(tokens + 1, targets)


def _rows(alone: Batch, more: Batch) -> list[tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]]:
    halves = zip(alone.tokens, alone.targets, strict=True), zip(more.tokens, more.targets, strict=True)
    return list(zip(*halves, strict=True))


def test_windows_of_one_token_have_no_pairs() -> None:
    data = TokenData(split(50), split(1000, first=50), None, None)  # pyright: ignore[reportArgumentType]
    assert not list(context_pairs(data, 1, 4))
