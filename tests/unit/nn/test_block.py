"""A block with cross-attention attends to all real positions of its memory, and nothing else."""

from __future__ import annotations

import pytest
import torch

from glassgpt.config import ModelConfig
from glassgpt.nn import AttnMask, Block, Memory

CONFIG = ModelConfig.model_validate(dict(n_layer=1, n_head=2, n_embd=16, block_size=16))


def block() -> Block:
    module = Block(CONFIG, cross=True)
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return module


def test_the_memory_matters_and_its_padding_does_not() -> None:
    module, x, states = block(), torch.randn(1, 5, 16), torch.randn(1, 4, 16)
    real = torch.tensor([[True, True, True, False]])
    mask = AttnMask.causal(5)

    def run(states: torch.Tensor) -> torch.Tensor:
        return module(x, Memory(states, AttnMask.padding(real)), mask=mask)

    changed_real, changed_padding = states.clone(), states.clone()
    changed_real[:, 1] += 1
    changed_padding[:, 3] += 1
    assert not torch.allclose(run(states), run(changed_real))
    assert torch.equal(run(states), run(changed_padding))


def test_without_a_memory_it_says_that_one_is_missing() -> None:
    with pytest.raises(AssertionError, match="encode a source first"):
        block()(torch.randn(2, 5, 16), mask=AttnMask.causal(5))


def test_a_memory_follows_its_rows_and_forgets_its_content() -> None:
    states, real = torch.randn(3, 4, 16), torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]]).bool()
    rows = torch.tensor([2, 0, 2])
    chosen = Memory(states, AttnMask.padding(real)).select(rows)
    assert torch.equal(chosen.states, states[rows])
    assert torch.equal(chosen.mask.dense(1, 4)[:, 0, 0], real[rows])
    assert Memory(states, AttnMask.full()).select(rows).mask.allowed is None
    blank = chosen.blank()
    assert not blank.states.any() and blank.states.shape == chosen.states.shape and blank.mask is chosen.mask
