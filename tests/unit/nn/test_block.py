"""A block with cross-attention reads its memory, all of it that is real, and nothing else."""

from __future__ import annotations

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


def test_without_a_memory_it_is_a_block_without_cross_attention() -> None:
    module, x = block(), torch.randn(2, 5, 16)
    plain = Block(CONFIG)
    plain.load_state_dict(
        {k: v for k, v in module.state_dict().items() if "cross" not in k and "norm_x" not in k}
    )
    mask = AttnMask.causal(5)
    torch.testing.assert_close(module(x, mask=mask), plain(x, mask=mask))
