"""Each parameter has one optimizer, with the learning rate and weight decay of the configuration."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import nn

from glassgpt.config import ModelConfig, OptimConfig
from glassgpt.models import Model, build
from glassgpt.train.optim import OPTIMIZERS, OptimizerSpec, current_lrs, make_optimizers, registry, set_lr


def model() -> Model:
    return build(ModelConfig.model_validate(dict(size="nano")), 65)


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_every_weight_has_one_optimizer(kind: str) -> None:
    m = model()
    optimizers = make_optimizers(m, OptimConfig.model_validate(dict(optimizer=kind)))
    held = [p for o in optimizers.values() for group in o.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in m.parameters()} and len(held) == len(list(m.parameters()))
    assert ("muon" in optimizers) == (kind == "muon")


def test_embeddings_norms_and_biases_do_not_decay() -> None:
    m = build(ModelConfig.model_validate(dict(size="nano", preset="gpt2")), 65)
    optimizers = make_optimizers(m, OptimConfig(optimizer="adamw", weight_decay=0.5))
    for group in optimizers["adamw"].param_groups:
        if group["weight_decay"]:
            assert all(p.ndim == 2 and p is not m.get_parameter("wte.weight") for p in group["params"])


def test_a_new_optimizer_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put before the others, it takes its parameters from them, with a rate from the configuration."""

    def wanted(module: nn.Module, _: OptimConfig) -> list[torch.Tensor]:
        return [p for p in module.parameters() if p.ndim == 1]

    def make(params: list[torch.Tensor], lr: float, *_: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(params, lr=lr)

    spec = OptimizerSpec("sgd", "ngram_lr", wanted, make)
    monkeypatch.setattr(registry, "OPTIMIZERS", (spec, *OPTIMIZERS))
    m = model()
    optimizers = make_optimizers(m, OptimConfig(ngram_lr=0.5))
    held = [p for o in optimizers.values() for group in o.param_groups for p in group["params"]]
    assert list(optimizers) == ["sgd", "muon", "adamw"]
    assert {id(p) for p in held} == {id(p) for p in m.parameters()} and len(held) == len(list(m.parameters()))
    set_lr(optimizers, 0.5)
    assert current_lrs(optimizers) == {"sgd": 0.25, "muon": 0.015, "adamw": 0.01}


@pytest.mark.parametrize("choice", get_args(OptimConfig.model_fields["optimizer"].annotation))
def test_every_choice_has_its_rates(choice: str) -> None:
    config = OptimConfig.model_validate({"optimizer": choice})
    assert {spec.rate for spec in OPTIMIZERS} == config.peak_lrs.keys(), "OptimConfig.peak_lrs lacks a rate"
    model = build(ModelConfig.model_validate({"size": "nano", "ngram_order": 2, "ngram_rows": 64}), 65)
    for name, optimizer in make_optimizers(model, config).items():
        rate = next(spec.rate for spec in OPTIMIZERS if spec.name == name)
        assert all(group["peak_lr"] == config.peak_lrs[rate] for group in optimizer.param_groups)
