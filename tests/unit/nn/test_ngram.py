"""Hashed n-gram embeddings: equal n-grams share their row, wherever they stand."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from glassgpt.config import ModelConfig
from glassgpt.nn import NgramEmbedding


def filled(n_rows: int = 4096, order: int = 4) -> NgramEmbedding:
    ngrams = NgramEmbedding(n_rows, order, 8)
    torch.nn.init.normal_(ngrams.table.weight)
    return ngrams


def test_equal_ngrams_have_equal_rows_wherever_they_stand() -> None:
    rows = filled().hash_rows(torch.tensor([[7, 1, 2, 3, 9, 1, 2, 3], [1, 2, 3, 0, 0, 0, 0, 0]]))
    assert rows.shape == (2, 8, 3)
    assert rows[0, 3, :2].tolist() == rows[0, 7, :2].tolist() == rows[1, 2, :2].tolist()  # 2 3 and 1 2 3
    four = {rows[0, 3, 2].item(), rows[0, 7, 2].item(), rows[1, 2, 2].item()}
    assert len(four) == 3  # 7 1 2 3, 9 1 2 3, and 1 2 3 at the beginning


def test_order_and_length_of_an_ngram_count() -> None:
    rows = filled(1 << 20).hash_rows(torch.tensor([[1, 2, 1, 2, 1]]))[0]
    assert rows[1, 0] != rows[2, 0] and rows[1, 0] == rows[3, 0]
    assert len(set(rows.flatten().tolist())) == 5 * 3 - 3  # 1 2, 2 1 and 1 2 1 twice each, all else once


def test_the_sum_of_its_rows() -> None:
    ngrams, tokens = filled(), torch.randint(65, (2, 9))
    rows, weight = ngrams.hash_rows(tokens), ngrams.table.weight
    slow = torch.stack([sum(weight[row] for row in place) for place in rows.view(-1, 3)]).view(2, 9, 8)
    torch.testing.assert_close(ngrams(tokens), slow)


def test_dropout_leaves_ngrams_out_in_training_only() -> None:
    ngrams, tokens = NgramEmbedding(4096, 4, 8, dropout=0.5), torch.arange(3000).view(1, -1)
    torch.nn.init.ones_(ngrams.table.weight)
    assert (ngrams.eval()(tokens) == 3).all()
    kept = ngrams.train()(tokens)[0, :, 0] / 2  # of three n-grams at each position, those kept count double
    assert set(kept.tolist()) == {0, 1, 2, 3} and kept.mean().item() == pytest.approx(1.5, abs=0.1)


def test_neighboring_keys_scatter() -> None:
    """All pairs of 100 characters into 4,096 rows: no fewer than chance would fill."""
    first, second = torch.meshgrid(torch.arange(100), torch.arange(100), indexing="ij")
    pairs = torch.stack([first, second], -1).view(-1, 2)
    rows = filled(order=2).hash_rows(pairs)[:, 1, 0]
    used = rows.unique().numel() / 4096
    assert used > 1 - (1 - 1 / 4096) ** 10_000 - 0.03


def test_one_token_at_a_time() -> None:
    ngrams = filled()
    assert ngrams(torch.tensor([[5]])).shape == (1, 1, 8)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ngram_order": 1}, "2 or more"),
        ({"ngram_order": 3, "family": "encoder"}, "is for gpt, not for encoder"),
    ],
)
def test_what_cannot_be(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelConfig.model_validate(fields)
