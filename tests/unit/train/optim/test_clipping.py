"""Clipping measures all gradients and scales the dense ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glassgpt.train.optim import clip_gradients


def test_clipping_measures_sparse_gradients_and_leaves_them() -> None:
    dense, table = nn.Parameter(torch.zeros(2)), nn.Embedding(4, 2, sparse=True)
    dense.grad = torch.tensor([3.0, 0.0])
    (table(torch.tensor([1, 1])) * 2).sum().backward()  # one row of gradient (4, 4)
    norm = clip_gradients([dense, table.weight], 1.0)
    assert norm == pytest.approx((3**2 + 4**2 + 4**2) ** 0.5)
    assert dense.grad.tolist() == pytest.approx([3 / norm, 0.0])
    assert table.weight.grad is not None and table.weight.grad.to_dense()[1].tolist() == [4.0, 4.0]
    dense.grad = torch.tensor([3.0, 0.0])
    clip_gradients([dense], 0.0)
    assert dense.grad.tolist() == [3.0, 0.0]
