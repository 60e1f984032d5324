"""Adapters: nothing changes before the first step, nothing frozen ever, and merging changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from glassgpt.config import ModelConfig, OptimConfig
from glassgpt.models import GPT, Model, build, merge_adapters
from glassgpt.nn import Block, LoraLinear
from glassgpt.train import make_optimizers

V, NEW = 50, 3
SHAPES: list[dict[str, Any]] = [
    {},
    {"preset": "gpt2"},
    {"preset": "speedrun", "ngram_rows": 64},
    {"n_kv_head": 2},
]


def config(shape: dict[str, Any], **more: Any) -> ModelConfig:
    return ModelConfig.model_validate({"size": "nano", **shape, **more})


def weights(model: Model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def adapted(shape: dict[str, Any], new_tokens: int) -> tuple[GPT, Model]:
    """A model with random weights, and one with adapters beside the same."""
    plain = build(config(shape), V)
    for p in plain.parameters():
        nn.init.normal_(p, std=0.1)
    model = build(config(shape, lora_rank=4, new_tokens=new_tokens), V)
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all(
        name.rpartition(".")[2] in ("lora_a", "lora_b", "added") for name in missing
    )
    assert isinstance(model, GPT)
    return model, plain


def train(model: Model, steps: int = 4) -> None:
    optimizers = make_optimizers(model, OptimConfig())
    for _ in range(steps):
        model(torch.randint(V, (3, 10))).square().mean().backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()


@pytest.mark.parametrize("new_tokens", [0, NEW])
@pytest.mark.parametrize("shape", SHAPES)
def test_adapters(shape: dict[str, Any], new_tokens: int) -> None:
    model, plain = adapted(shape, new_tokens)
    tokens = torch.randint(V, (2, 12))
    assert torch.equal(model(tokens), plain(tokens)), "the first step begins where the other model is"
    train(model)
    after, frozen = weights(model), weights(plain)
    assert all(torch.equal(after[name], frozen[name]) for name in frozen)
    assert not torch.allclose(model(tokens), plain(tokens), atol=1e-3)
    tensors, shape_of = merge_adapters(after, model.config)
    merged = build(shape_of, V)
    merged.load_state_dict(tensors | dict(merged.named_buffers()), strict=False)
    assert weights(merged).keys() == frozen.keys()
    torch.testing.assert_close(merged(tokens), model(tokens), atol=1e-5, rtol=1e-5)
    old = tokens.clamp(max=V - NEW - 1)
    if new_tokens:
        rows = merged.state_dict()["wte.weight"]
        assert torch.equal(rows[:-NEW], frozen["wte.weight"][:-NEW])
        assert not torch.equal(rows[-NEW:], frozen["wte.weight"][-NEW:])
        torch.testing.assert_close(merged(old), model(old), atol=1e-5, rtol=1e-5)


def test_the_optimizer_has_the_adapters_and_nothing_else() -> None:
    model, _ = adapted({"preset": "speedrun", "ngram_rows": 64}, NEW)
    found = {
        id(p)
        for o in make_optimizers(model, OptimConfig()).values()
        for g in o.param_groups
        for p in g["params"]
    }
    names = {name for name, p in model.named_parameters() if id(p) in found}
    assert names == {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name.rpartition(".")[2] for name in names} == {"lora_a", "lora_b", "added"}


def test_every_matrix_of_the_blocks_and_no_other() -> None:
    model, _ = adapted({}, 0)
    linears = [p for block in model.modules() if isinstance(block, Block) for p in block.modules()]
    assert not any(isinstance(part, nn.Linear) for part in linears)
    assert sum(isinstance(part, LoraLinear) for part in linears) == 4 * model.config.n_layer
    assert isinstance(model.lm_head, nn.Linear)


def test_a_cache_changes_nothing() -> None:
    model, _ = adapted({}, NEW)
    train(model)
    model.eval()
    tokens = torch.randint(V, (1, 12))
    cache = model.new_cache(1)
    parts = [model(tokens[:, i : i + 1], cache=cache) for i in range(12)]
    torch.testing.assert_close(torch.cat(parts, 1), model(tokens), atol=1e-5, rtol=1e-5)


def test_alpha_scales() -> None:
    assert config({}, lora_rank=4).lora_scale == 2
    assert config({}, lora_rank=4, lora_alpha=4).lora_scale == 1
