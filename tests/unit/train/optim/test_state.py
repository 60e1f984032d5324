"""Optimizer state survives the trip to a checkpoint; state of other optimizers is refused."""

from __future__ import annotations

import pytest
import torch

from glassgpt.config import ModelConfig, OptimConfig
from glassgpt.errors import UserError
from glassgpt.models import Model, build
from glassgpt.train.optim import load_state_tensors, make_optimizers, set_lr, state_tensors


def model() -> Model:
    return build(ModelConfig.model_validate(dict(size="nano")), 65)


def test_state_round_trip_continues_identically() -> None:
    def train_step(m: Model, optimizers: dict, seed: int) -> None:
        torch.manual_seed(seed)
        m(torch.randint(65, (2, 16))).pow(2).mean().backward()
        set_lr(optimizers, 0.5)
        for o in optimizers.values():
            o.step()
            o.zero_grad()

    first = model()
    opt_first = make_optimizers(first, OptimConfig())
    for seed in range(3):
        train_step(first, opt_first, seed)
    second = model()
    second.load_state_dict(first.state_dict())
    opt_second = make_optimizers(second, OptimConfig())
    saved = {name: t.clone() for name, t in state_tensors(opt_first, first).items()}
    load_state_tensors(opt_second, second, saved)
    for m, optimizers in ((first, opt_first), (second, opt_second)):
        train_step(m, optimizers, 9)
    for (name, p), q in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(p, q), name


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("adamw/", "adam/"),  # no such optimizer
        ("muon/", "adamw/"),  # another one owns the weight
        ("/momentum", "/exp_avg"),  # a key that it does not keep
        ("blocks.0.", "blocks.7."),  # no such weight
    ],
)
def test_state_of_another_optimizer_is_refused(old: str, new: str) -> None:
    m = model()
    optimizers = make_optimizers(m, OptimConfig())
    for p in m.parameters():
        p.grad = torch.ones_like(p)
    for optimizer in optimizers.values():
        optimizer.step()
    tensors = state_tensors(optimizers, m)
    load_state_tensors(optimizers, m, tensors)
    renamed = {name.replace(old, new): t for name, t in tensors.items()}
    with pytest.raises(UserError, match="does not fit the optimizer"):
        load_state_tensors(make_optimizers(m, OptimConfig()), m, renamed)
    cut = {name: t[:1] if t.ndim else t for name, t in tensors.items()}
    with pytest.raises(UserError, match="does not fit the optimizer"):
        load_state_tensors(make_optimizers(m, OptimConfig()), m, cut)
