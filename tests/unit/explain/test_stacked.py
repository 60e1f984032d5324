"""Stacked models compute and learn what each of them does alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from glassgpt.config import OptimConfig
from glassgpt.explain.chapters import ladder
from glassgpt.explain.stacked import StackedOptimizer, stack
from glassgpt.train import make_optimizers, set_lr

V, B, S = 40, 4, 3


def three(make: Callable[[], nn.Module]) -> list[nn.Module]:
    """Models of a rung; noise takes the zeros of a new one away."""
    models = []
    for seed in range(S):
        torch.manual_seed(seed)
        models.append(make().double())
        with torch.no_grad():
            for p in models[-1].parameters():
                p.add_(0.1 * torch.randn_like(p))
    return models


def loss(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


@pytest.mark.parametrize("rung", ladder.rungs(V))
def test_logits_and_weights_after_steps_are_those_of_each_model(rung: str) -> None:
    models = three(ladder.rungs(V)[rung])
    stacked = stack(models)
    tokens = torch.randint(V, (S * B, ladder.T + 1))
    for model, logits, own in zip(models, stacked(tokens[:, :-1]).split(B), tokens.split(B), strict=True):
        torch.testing.assert_close(logits, model(own[:, :-1]))

    rates = OptimConfig(lr=0.03, muon_lr=0.05)
    optimizer = StackedOptimizer(stacked, rates.peak_lrs["lr"], rates.muon_lr, rates.weight_decay)
    optimizers = [make_optimizers(model, rates) for model in models]
    for scale in (0.5, 1.0, 0.25):
        (S * loss(stacked, tokens)).backward()
        optimizer.step(scale)
        for model, own, each in zip(models, tokens.split(B), optimizers, strict=True):
            model.zero_grad()
            loss(model, own).backward()
            set_lr(each, scale)
            for one in each.values():
                one.step()
    for name, p in stacked.named_parameters():
        wanted = torch.stack([model.get_parameter(name) for model in models])
        torch.testing.assert_close(p, wanted, rtol=1e-4, atol=1e-6)


def test_a_model_learns_from_its_own_rows_only() -> None:
    stacked = stack(three(ladder.rungs(V)["gpt"]))
    stacked(torch.randint(V, (S * B, ladder.T)))[:B].sum().backward()
    for p in stacked.parameters():
        assert p.grad is not None and not p.grad[1:].any()
