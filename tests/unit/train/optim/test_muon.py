"""Muon does what its source says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glassgpt.train.optim import Muon, orthogonalize
from glassgpt.train.optim.muon import COEFFICIENTS


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 32), (2, 32, 8)])
def test_orthogonalize_keeps_directions_and_equalises_speeds(shape: tuple[int, ...]) -> None:
    """Against the slow reference: U Vᵀ of the singular value decomposition."""
    G = torch.randn(shape)
    U, _, Vh = torch.linalg.svd(G, full_matrices=False)
    X = orthogonalize(G)
    speeds = torch.linalg.svdvals(X)
    assert 0.6 < speeds.min() and speeds.max() < 1.3
    alignment = ((U.mT @ X @ Vh.mT).diagonal(dim1=1, dim2=2)).min()
    assert alignment > 0.6


@pytest.mark.parametrize("smallest", [1e-2, 1e-5, 0.0])
def test_orthogonalize_by_the_gram_matrix_is_the_plain_iteration(smallest: float) -> None:
    """Against the plain one in float64, also where the gradient has almost no rank."""
    U, _, Vh = torch.linalg.svd(torch.randn(2, 24, 96), full_matrices=False)
    speeds = torch.logspace(0, -2, 24) * (torch.arange(24) < 12) + smallest
    G = U * speeds @ Vh
    X = G.double() / G.double().norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        A = X @ X.mT
        X = COEFFICIENTS[0] * X + (COEFFICIENTS[1] * A + COEFFICIENTS[2] * A @ A) @ X
    torch.testing.assert_close(orthogonalize(G).double(), X, atol=2e-3, rtol=0)


def test_muon_moves_batched_matrices_as_it_would_each_alone() -> None:
    together = [
        nn.Parameter(torch.randn(8, 4)),
        nn.Parameter(torch.randn(8, 4)),
        nn.Parameter(torch.randn(4, 4)),
    ]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    for p, q in zip(together, alone, strict=True):
        p.grad = torch.randn_like(p)
        q.grad = p.grad.clone()
    Muon(together, lr=0.1, weight_decay=0.01).step()
    for q in alone:
        Muon([q], lr=0.1, weight_decay=0.01).step()
    for p, q in zip(together, alone, strict=True):
        torch.testing.assert_close(p, q)
