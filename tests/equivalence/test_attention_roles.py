"""Every role of our one attention is torch's own, and our sliding window is Mistral's.

The oracle is `torch.nn.MultiheadAttention` with copied weights, which gets the mask spelled out.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models import Model, build
from glassgpt.nn import Attention, AttnMask, CrossKV, KVCache

B, T, S, C, H, D = 2, 9, 6, 24, 4, 6
WINDOW = 3
CLOSE = dict(atol=1e-5, rtol=0.0)


def real_places(lengths: list[int], n: int) -> Tensor:
    return torch.arange(n) < torch.tensor(lengths)[:, None]


REAL, REAL_MEMORY = real_places([9, 5], T), real_places([2, 6], S)
PLACE = torch.arange(T)
FUTURE = PLACE[None, :] > PLACE[:, None]
FAR = (PLACE[None, :] - PLACE[:, None]).abs() >= WINDOW
NONE = torch.zeros(T, T, dtype=torch.bool)
# Role: our mask, and what torch's must hide of every row (T, T) and of each sequence (B, T).
SELF = {
    "full": (AttnMask.full(), NONE, None),
    "causal": (AttnMask.causal(T), FUTURE, None),
    "padded": (AttnMask.padding(REAL), NONE, ~REAL),
    "causal window": (AttnMask.causal(T, window=WINDOW), FUTURE | FAR, None),
    "window both ways": (AttnMask.padding(real_places([T, T], T), window=WINDOW), FAR, None),
    "window both ways padded": (AttnMask.padding(REAL, window=WINDOW), FAR, ~REAL),
}


@pytest.fixture(params=[(True, 4), (False, 4), (True, 2), (False, 1)], ids=lambda p: f"bias={p[0]},kv={p[1]}")
def ours(request: pytest.FixtureRequest) -> Attention:
    bias, n_kv_head = request.param
    shape = dict(preset="gpt2", n_layer=1, n_head=H, n_embd=C, block_size=16)
    module = Attention(ModelConfig.model_validate(shape | dict(bias=bias, n_kv_head=n_kv_head)))
    for p in module.parameters():
        nn.init.normal_(p, std=0.3)
    return module.requires_grad_(False)


def torchs(ours: Attention) -> nn.MultiheadAttention:
    """The same weights in torch's own; keys and values that heads share are repeated for each."""
    theirs = nn.MultiheadAttention(C, H, bias=ours.qkv.bias is not None, batch_first=True)

    def repeated(rows: Tensor) -> Tensor:
        q, k, v = rows.split(ours._widths)
        heads = [part.unflatten(0, (ours.n_kv_head, D)) for part in (k, v)]  # (H_kv, D, ...)
        return torch.cat([q, *(h.repeat_interleave(H // ours.n_kv_head, 0).flatten(0, 1) for h in heads)])

    theirs.in_proj_weight.data = repeated(ours.qkv.weight)
    theirs.out_proj.load_state_dict(ours.proj.state_dict())
    if ours.qkv.bias is not None:
        theirs.in_proj_bias.data = repeated(ours.qkv.bias)
    return theirs.requires_grad_(False)


@pytest.mark.parametrize("role", SELF)
def test_self_attention(ours: Attention, role: str) -> None:
    mask, hidden, padding = SELF[role]
    x = torch.randn(B, T, C)
    theirs, _ = torchs(ours)(x, x, x, attn_mask=hidden, key_padding_mask=padding, need_weights=False)
    y = ours(x, mask=mask)
    assert y.isfinite().all()  # in ours, padding too has something to look at
    compared = REAL if padding is not None else torch.ones(B, T, dtype=torch.bool)
    torch.testing.assert_close(y[compared], theirs[compared], **CLOSE)


@pytest.mark.parametrize("real", [None, REAL_MEMORY], ids=["full", "padded memory"])
def test_cross_attention(ours: Attention, real: Tensor | None) -> None:
    x, memory = torch.randn(B, T, C), torch.randn(B, S, C)
    mask = AttnMask.full() if real is None else AttnMask.padding(real)
    padding = None if real is None else ~real
    theirs, _ = torchs(ours)(x, memory, memory, key_padding_mask=padding, need_weights=False)
    torch.testing.assert_close(ours(x, memory, mask=mask), theirs, **CLOSE)


@pytest.mark.parametrize("window", [None, WINDOW])
@pytest.mark.parametrize("chunks", [[4, 1, 4], [1] * T, [1, 8], [9]], ids=str)
def test_cached_chunks(ours: Attention, chunks: list[int], window: int | None) -> None:
    """Each chunk sees what came before it, as if all had come at once."""
    x, cache, pieces = torch.randn(B, T, C), KVCache(1, B, ours.n_kv_head, T, D), []
    for chunk in x.split(chunks, dim=1):
        mask = AttnMask.causal(chunk.shape[1], cache.pos, window=window)
        pieces.append(ours(chunk, mask=mask, kv=cache.layer(0)))
        cache.advance(chunk.shape[1])
    hidden = FUTURE if window is None else FUTURE | FAR
    theirs, _ = torchs(ours)(x, x, x, attn_mask=hidden, need_weights=False)
    torch.testing.assert_close(torch.cat(pieces, dim=1), theirs, **CLOSE)


def test_a_memory_is_read_once(ours: Attention) -> None:
    """After the first chunk only the kept keys and values count: the memory itself may be rubbish."""
    x, memory, kv = torch.randn(B, T, C), torch.randn(B, S, C), CrossKV()
    mask = AttnMask.padding(REAL_MEMORY)
    first = ours(x[:, :4], memory, mask=mask, kv=kv)
    rest = ours(x[:, 4:], torch.full_like(memory, torch.nan), mask=mask, kv=kv)
    theirs, _ = torchs(ours)(x, memory, memory, key_padding_mask=~REAL_MEMORY, need_weights=False)
    torch.testing.assert_close(torch.cat((first, rest), dim=1), theirs, **CLOSE)


def woken(**fields: object) -> Model:
    config = ModelConfig.model_validate(dict(n_layer=1, n_head=4, n_embd=32, block_size=32) | fields)
    model = build(config, 50).eval().requires_grad_(False)
    for p in model.parameters():
        p.normal_(mean=float(p.ndim == 1), std=0.2)
    return model


POSITIONS = ["rope", "learned", "sinusoidal", "none"]


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("family", ["gpt", "encoder", "seq2seq"])
def test_only_positions_tell_an_order(family: str, position: str) -> None:
    """Without them the last token in one layer, and a decoder with its source, see the rest as a set."""
    model = woken(family=family, position=position)
    tokens = torch.randint(50, (1, 12))
    shuffled = torch.cat((tokens[:, :11].flip(1), tokens[:, 11:]), dim=1)

    def last(tokens: Tensor) -> Tensor:
        if family == "seq2seq":
            return model(torch.tensor([[7]]), memory=model.encode(tokens))
        return model(tokens)[:, -1]

    difference = (last(tokens) - last(shuffled)).abs().max().item()
    assert difference < 1e-5 if position == "none" else difference > 1e-2


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("family", ["gpt", "seq2seq"])
def test_positions_go_on_after_the_cached_ones(family: str, position: str) -> None:
    model = woken(family=family, position=position, n_layer=2)
    memory = model.encode(torch.randint(50, (2, 8)))
    tokens, cache = torch.randint(50, (2, 20)), model.new_cache(2)
    pieces = [model(piece, memory=memory, cache=cache) for piece in tokens.split([7, 1, 12], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens, memory=memory), **CLOSE)


@pytest.mark.parametrize("window", [1, 5, 40])
def test_our_window_is_mistrals(window: int) -> None:
    transformers = pytest.importorskip("transformers")
    model = woken(preset="modern", qk_norm=False, n_layer=2, n_kv_head=2, window=window)
    config = transformers.MistralConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=model.config.hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        rms_norm_eps=1e-6,
        max_position_embeddings=32,
        rope_parameters={"rope_type": "default", "rope_theta": model.config.rope_theta},
        sliding_window=window,
        tie_word_embeddings=False,
    )
    theirs = transformers.MistralForCausalLM(config).eval().requires_grad_(False)
    theirs.load_state_dict(as_mistral(dict(model.named_parameters())))
    tokens = torch.randint(50, (3, 32))
    torch.testing.assert_close(model(tokens), theirs(tokens).logits, atol=1e-5, rtol=1e-5)


def as_mistral(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our names and joined matrices as Mistral's."""
    state = {"model.embed_tokens.weight": ours["wte.weight"], "model.norm.weight": ours["norm_f.weight"]}
    state["lm_head.weight"] = ours["lm_head.weight"]
    for i in range(2):
        mine = {
            part: ours[f"blocks.{i}.{part}.weight"] for part in ("norm_1", "norm_2", "attn.proj", "mlp.proj")
        }
        q, k, v = ours[f"blocks.{i}.attn.qkv.weight"].split([32, 16, 16])
        gate, up = ours[f"blocks.{i}.mlp.fc.weight"].chunk(2)
        layer = {"input_layernorm": mine["norm_1"], "post_attention_layernorm": mine["norm_2"]}
        layer |= {"self_attn.q_proj": q, "self_attn.k_proj": k, "self_attn.v_proj": v}
        layer |= {"self_attn.o_proj": mine["attn.proj"], "mlp.down_proj": mine["mlp.proj"]}
        layer |= {"mlp.gate_proj": gate, "mlp.up_proj": up}
        state |= {f"model.layers.{i}.{name}.weight": weight for name, weight in layer.items()}
    return state
