"""Looking into Hugging Face's GPT-2 and Qwen3: the same bits, names, and the weights that they report."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

transformers = pytest.importorskip("transformers")

from glassgpt.hooks import activation_names, edit, logit_lens, record, zero_heads  # noqa: E402

V = 65


def made(kind: str, attention: str) -> Any:
    torch.manual_seed(0)
    same = dict(vocab_size=V, attn_implementation=attention, bos_token_id=0, eos_token_id=0)
    if kind == "gpt2":
        config = transformers.GPT2Config(n_positions=32, n_embd=32, n_layer=2, n_head=4, **same)
        return transformers.GPT2LMHeadModel(config).eval()
    config = transformers.Qwen3Config(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        **same,
    )
    return transformers.Qwen3ForCausalLM(config).eval()


@pytest.fixture(params=["gpt2", "qwen3"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


TOKENS = torch.randint(V, (2, 9), generator=torch.Generator().manual_seed(1))
PADDED = torch.tensor([[1] * 9, [0] * 3 + [1] * 6])


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("padding", [None, PADDED], ids=["whole", "padded"])
def test_watched_it_computes_the_same_bits(kind: str, attention: str, padding: Tensor | None) -> None:
    model = made(kind, attention)
    before = model(TOKENS, attention_mask=padding).logits
    with record(model) as seen:
        during = model(TOKENS, attention_mask=padding).logits
    assert torch.equal(before, during) and torch.equal(before, seen["logits"])
    assert set(seen) == set(activation_names(model))
    assert model.config._attn_implementation == attention
    with record(model, "blocks.1.*"):
        assert torch.equal(before, model(TOKENS, attention_mask=padding).logits)


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_weights_are_those_that_it_reports(kind: str, attention: str) -> None:
    reported = made(kind, "eager")(TOKENS, output_attentions=True).attentions
    model = made(kind, attention)
    with record(model, "*.weights") as seen:
        model(TOKENS)
    assert len(seen) == 2
    for layer, weights in enumerate(reported):
        torch.testing.assert_close(seen[f"blocks.{layer}.attn.weights"], weights, atol=1e-6, rtol=0)


@torch.no_grad()
def test_states_are_those_that_it_reports(kind: str) -> None:
    model = made(kind, "sdpa")
    with record(model) as seen:
        states = model(TOKENS, output_hidden_states=True).hidden_states
    assert torch.equal(seen["blocks.0.resid_pre"], states[0])
    assert torch.equal(seen["blocks.1.resid_pre"], states[1])
    assert torch.equal(seen["norm_f"], states[-1])
    assert torch.equal(logit_lens(model, seen)["blocks.1.resid_post"], seen["logits"])


@torch.no_grad()
def test_a_head_can_be_switched_off(kind: str) -> None:
    """The same as cutting its columns out of the output projection."""
    model = made(kind, "sdpa")
    with edit(model, {"blocks.0.attn.heads": zero_heads(2)}):
        off = model(TOKENS).logits
    if kind == "gpt2":
        model.transformer.h[0].attn.c_proj.weight[16:24] = 0
    else:
        model.model.layers[0].self_attn.o_proj.weight[:, 16:24] = 0
    torch.testing.assert_close(off, model(TOKENS).logits, atol=1e-6, rtol=0)


@torch.no_grad()
def test_while_it_writes_each_step_is_seen(kind: str) -> None:
    """With its own cache: the last query sees all keys before it."""
    model = made(kind, "sdpa")
    with record(model, "blocks.1.attn.weights") as seen:
        model.generate(TOKENS, max_new_tokens=3, do_sample=False, pad_token_id=0)
    assert seen["blocks.1.attn.weights"].shape[2] == 1
    torch.testing.assert_close(seen["blocks.1.attn.weights"].sum(-1), torch.ones(2, 4, 1))
