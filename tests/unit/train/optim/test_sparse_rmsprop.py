"""SparseRMSprop is Adam without momentum, on the touched rows."""

from __future__ import annotations

import torch
from torch import nn

from glassgpt.train.optim import SparseRMSprop


def test_rows_move_as_in_adam_without_momentum_and_only_when_touched() -> None:
    torch.manual_seed(1)
    table = nn.Embedding(6, 3, sparse=True)
    row, slow = table.weight.detach()[2].clone(), torch.zeros(3)
    others = table.weight.detach()[[0, 1, 3, 5]].clone()
    optimizer = SparseRMSprop([table.weight], lr=0.1, beta2=0.9)
    for step, touched in enumerate([[2, 2], [4], [2, 4]], start=1):
        optimizer.zero_grad()
        (table(torch.tensor(touched)).sum(0) * torch.tensor([1.0, -2.0, 0.5]) * step).sum().backward()
        optimizer.step()
        if 2 in touched:
            g = torch.tensor([1.0, -2.0, 0.5]) * step * touched.count(2)
            slow = 0.9 * slow + 0.1 * g * g
            row = row - 0.1 * g / (slow / (1 - 0.9**step)).sqrt()
    torch.testing.assert_close(table.weight.detach()[2], row)
    assert torch.equal(table.weight.detach()[[0, 1, 3, 5]], others)
