"""One module for every role, held against the readable reference and against torch's own attention."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glassgpt.config import ModelConfig
from glassgpt.nn import Attention, AttnMask, KVCache, RotaryEmbedding, attention_weights

B, T, S, C, H, D = 2, 7, 5, 24, 4, 6


def attention(**fields: object) -> Attention:
    shape = dict(preset="gpt2", n_layer=1, n_head=H, n_embd=C, block_size=16)
    module = Attention(ModelConfig.model_validate(shape | fields))
    for p in module.parameters():
        nn.init.normal_(p, std=0.3)
    return module


def torch_attention(ours: Attention) -> nn.MultiheadAttention:
    theirs = nn.MultiheadAttention(C, H, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.weight.copy_(ours.proj.weight)
        theirs.out_proj.bias.copy_(ours.proj.bias)
    return theirs


def real_tokens(lengths: list[int], n: int) -> torch.Tensor:
    return torch.arange(n)[None, :] < torch.tensor(lengths)[:, None]


MASKS = {
    "full": (AttnMask.full(), {}),
    "causal": (AttnMask.causal(T), {"attn_mask": torch.ones(T, T, dtype=torch.bool).triu(1)}),
    "padding": (AttnMask.padding(real_tokens([7, 4], T)), {"key_padding_mask": ~real_tokens([7, 4], T)}),
}


@pytest.mark.parametrize("role", MASKS)
def test_self_attention_equals_torch(role: str) -> None:
    mask, theirs = MASKS[role]
    ours, x = attention(), torch.randn(B, T, C)
    expected, _ = torch_attention(ours)(x, x, x, need_weights=False, **theirs)
    torch.testing.assert_close(ours(x, mask=mask), expected, atol=1e-5, rtol=1e-5)


def test_cross_attention_equals_torch() -> None:
    ours, x, memory = attention(), torch.randn(B, T, C), torch.randn(B, S, C)
    real = real_tokens([5, 2], S)
    expected, _ = torch_attention(ours)(x, memory, memory, key_padding_mask=~real)
    torch.testing.assert_close(ours(x, memory, mask=AttnMask.padding(real)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_kv_head", [4, 2, 1])
@pytest.mark.parametrize("role", MASKS)
def test_kernel_equals_reference(role: str, n_kv_head: int) -> None:
    mask = MASKS[role][0]
    q, k, v = torch.randn(B, H, T, D), torch.randn(B, n_kv_head, T, D), torch.randn(B, n_kv_head, T, D)
    weights = attention_weights(q, k, mask)
    expected = weights @ v.repeat_interleave(H // n_kv_head, dim=1)
    torch.testing.assert_close(attention().core(q, k, v, mask), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, T))


def test_reference_refuses_an_empty_row() -> None:
    with pytest.raises(ValueError, match="nothing to attend to"):
        attention_weights(
            torch.randn(1, 1, 2, 4), torch.randn(1, 1, 2, 4), AttnMask.padding(torch.zeros(1, 2).bool())
        )


def test_grouped_queries_equal_repeated_heads() -> None:
    grouped, full = attention(n_kv_head=2), attention()
    with torch.no_grad():
        for mine, theirs in ((grouped.qkv.weight, full.qkv.weight), (grouped.qkv.bias, full.qkv.bias)):
            q, k, v = mine.split([H * D, 2 * D, 2 * D])
            repeat = [w.unflatten(0, (2, D)).repeat_interleave(2, dim=0).flatten(0, 1) for w in (k, v)]
            theirs.copy_(torch.cat((q, *repeat)))
        full.proj.load_state_dict(grouped.proj.state_dict())
    x = torch.randn(B, T, C)
    mask = AttnMask.causal(T)
    torch.testing.assert_close(grouped(x, mask=mask), full(x, mask=mask), atol=1e-5, rtol=1e-5)


def test_a_past_is_seen_and_the_future_is_not() -> None:
    """Chunks through a cache equal the whole, although the kernel's own causal flag would misalign them."""
    module, x = attention(), torch.randn(B, T, C)
    cache = KVCache(1, B, H, T, D)
    pieces = []
    for piece in x.split([3, 1, 3], dim=1):
        mask = AttnMask.causal(piece.shape[1], cache.pos)
        pieces.append(module(piece, mask=mask, kv=cache.layer(0)))
        cache.advance(piece.shape[1])
    whole = module(x, mask=AttnMask.causal(T))
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-5, rtol=1e-5)


def test_padded_causal_equals_unpadded() -> None:
    module, x = attention(), torch.randn(B, T, C)
    real = real_tokens([7, 4], T)
    y = module(x, mask=AttnMask.causal(T, padding=real))
    assert y.isfinite().all()
    alone = module(x[1:, :4], mask=AttnMask.causal(4))
    torch.testing.assert_close(y[1:, :4], alone, atol=1e-5, rtol=1e-5)


def test_rotary_scores_depend_on_distance_only() -> None:
    rope = RotaryEmbedding(D, 64, 10_000.0)
    q, k = torch.randn(1, 1, 1, D), torch.randn(1, 1, 1, D)

    def score(i: int, j: int) -> float:
        return float((rope(i, 1).rotate(q) * rope(j, 1).rotate(k)).sum())

    assert score(9, 4) == pytest.approx(score(30, 25), abs=1e-5)
    assert score(9, 4) != pytest.approx(score(9, 5), abs=1e-3)
    torch.testing.assert_close(rope(40, 1).rotate(q).norm(), q.norm())


def test_cache_keeps_the_selected_rows() -> None:
    cache = KVCache(1, 3, 1, 4, 2)
    cache.layer(0).extend(torch.arange(3.0).view(3, 1, 1, 1).expand(3, 1, 1, 2), torch.zeros(3, 1, 1, 2))
    cache.select(torch.tensor([2, 0]))
    assert cache.keys[0, :, 0, 0, 0].tolist() == [2.0, 0.0]
