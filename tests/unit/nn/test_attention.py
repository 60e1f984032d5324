"""The parts of attention: the kernel against the readable reference, masks, positions and the cache.

Its roles are held against torch's own attention in tests/equivalence/test_attention_roles.py.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from glassgpt.config import ModelConfig
from glassgpt.nn import (
    Attention,
    AttnMask,
    RotaryEmbedding,
    ScaledDotProduct,
    SinusoidalEmbedding,
    attention_scores,
    attention_weights,
    masked_scores,
)

B, T, S, C, H, D = 2, 7, 5, 24, 4, 6


def attention(**fields: object) -> Attention:
    shape = dict(preset="gpt2", n_layer=1, n_head=H, n_embd=C, block_size=16)
    module = Attention(ModelConfig.model_validate(shape | fields))
    for p in module.parameters():
        nn.init.normal_(p, std=0.3)
    return module


def real_tokens(lengths: list[int], n: int) -> torch.Tensor:
    return torch.arange(n)[None, :] < torch.tensor(lengths)[:, None]


REAL = real_tokens([7, 4], T)
MASKS = {
    "full": AttnMask.full(),
    "causal": AttnMask.causal(T),
    "padding": AttnMask.padding(REAL),
    "causal window": AttnMask.causal(T, window=3),
    "padding window": AttnMask.padding(REAL, window=3),
}


@pytest.mark.parametrize("n_kv_head", [4, 2, 1])
@pytest.mark.parametrize("role", MASKS)
def test_kernel_equals_reference(role: str, n_kv_head: int) -> None:
    mask = MASKS[role]
    q, k, v = torch.randn(B, H, T, D), torch.randn(B, n_kv_head, T, D), torch.randn(B, n_kv_head, T, D)
    weights = attention_weights(q, k, mask)
    expected = weights @ v.repeat_interleave(H // n_kv_head, dim=1)
    torch.testing.assert_close(attention().sdpa(q, k, v, mask), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, T))
    assert attention().sdpa.weights(q, k, mask).equal(weights)
    assert attention().sdpa.scores(q, k).equal(attention_scores(q, k))


def test_weights_follow_the_scores_of_a_variant() -> None:
    class Softcap(ScaledDotProduct):
        def scores(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
            return 2 * torch.tanh(super().scores(q, k) / 2)

    q, k, mask = torch.randn(B, H, T, D), torch.randn(B, H, T, D), AttnMask.causal(T)
    scores = 2 * torch.tanh(attention_scores(q, k) / 2)
    assert Softcap().weights(q, k, mask).equal(masked_scores(scores, mask).softmax(-1))


def test_reference_refuses_an_empty_row() -> None:
    with pytest.raises(ValueError, match="nothing to attend to"):
        attention_weights(
            torch.randn(1, 1, 2, 4), torch.randn(1, 1, 2, 4), AttnMask.padding(torch.zeros(1, 2).bool())
        )


def test_rotary_scores_depend_on_distance_only() -> None:
    rope = RotaryEmbedding(D, 64, 10_000.0)
    q, k = torch.randn(1, 1, 1, D), torch.randn(1, 1, 1, D)

    def score(i: int, j: int) -> float:
        return float((rope(i, 1).rotate(q) * rope(j, 1).rotate(k)).sum())

    assert score(9, 4) == pytest.approx(score(30, 25), abs=1e-5)
    assert score(9, 4) != pytest.approx(score(9, 5), abs=1e-3)
    torch.testing.assert_close(rope(40, 1).rotate(q).norm(), q.norm())


def shown(mask: AttnMask, T: int, S: int) -> list[list[int]]:
    return mask.dense(T, S).int().reshape(T, S).tolist()


def test_a_window_counts_the_token_itself() -> None:
    assert shown(AttnMask.causal(4, window=2), 4, 4) == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 1, 1],
    ]
    assert shown(AttnMask.causal(1, past=3, window=2), 1, 4) == [[0, 0, 1, 1]]
    real = torch.tensor([[True, True, True, False]])
    both = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert shown(AttnMask.padding(real, window=2), 4, 4) == both


@pytest.mark.parametrize("window", [None, 4, 9])
def test_the_fast_paths_are_taken_where_nothing_needs_a_mask(window: int | None) -> None:
    assert AttnMask.causal(4, window=window) == AttnMask(is_causal=True)
    assert AttnMask.causal(1, past=3, window=window) == AttnMask.full()


def test_sinusoids_are_those_of_the_paper() -> None:
    table = SinusoidalEmbedding(10, 6)(torch.arange(10))
    for place in (0, 3, 9):
        for i in range(3):
            angle = place / 10_000 ** (2 * i / 6)
            assert table[place, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[place, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
