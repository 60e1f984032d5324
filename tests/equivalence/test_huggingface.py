"""Our presets are the classes that everyone else loads: same weights, same logits."""

from __future__ import annotations

import pytest
import torch

from glassgpt.config import ModelConfig, exportable_as
from glassgpt.models import Model, build

transformers = pytest.importorskip("transformers")
V = 97


def ours(**fields: object) -> Model:
    config = ModelConfig.model_validate(dict(n_layer=3, n_head=4, n_embd=48, block_size=32) | fields)
    model = build(config, V).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(mean=float(p.ndim == 1), std=0.2)  # biases and gains too
    return model


def assert_equal_logits(model: Model, theirs: torch.nn.Module) -> None:
    tokens = torch.randint(V, (3, 32))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), theirs(tokens).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_hidden", [None, 80])
def test_gpt2_equals_gpt2lmheadmodel(n_hidden: int | None) -> None:
    model = ours(preset="gpt2", n_hidden=n_hidden)
    assert exportable_as(model.config).formats == ("GPT2LMHeadModel",)
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=V,
            n_positions=32,
            n_embd=48,
            n_inner=n_hidden,
            n_layer=3,
            n_head=4,
            attn_pdrop=0,
            embd_pdrop=0,
            resid_pdrop=0,
        )
    ).eval()
    names = {"wte": "wte", "wpe": "wpe", "norm_f": "ln_f"}
    for i in range(3):
        parts = {"norm_1": "ln_1", "norm_2": "ln_2", "attn.qkv": "attn.c_attn", "attn.proj": "attn.c_proj"}
        parts |= {"mlp.fc": "mlp.c_fc", "mlp.proj": "mlp.c_proj"}
        names |= {f"blocks.{i}.{mine}": f"h.{i}.{their}" for mine, their in parts.items()}
    state = {}
    for name, p in model.named_parameters():
        module, kind = name.rsplit(".", 1)
        is_conv1d = names[module].split(".")[-1].startswith("c_") and kind == "weight"  # stored transposed
        state[f"transformer.{names[module]}.{kind}"] = p.T if is_conv1d else p
    state["lm_head.weight"] = model.wte.weight
    theirs.load_state_dict(state)
    assert_equal_logits(model, theirs)


@pytest.mark.parametrize("head_size", [12, 20])
@pytest.mark.parametrize(("n_kv_head", "tied"), [(4, False), (2, False), (1, False), (2, True)])
def test_modern_equals_qwen3(n_kv_head: int, tied: bool, head_size: int) -> None:
    model = ours(
        preset="modern", n_kv_head=n_kv_head, tie_embeddings=tied, head_size=head_size, norm_eps=1e-4
    )
    assert exportable_as(model.config).formats == ("Qwen3ForCausalLM",)
    theirs = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=V,
            hidden_size=48,
            intermediate_size=model.config.hidden,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=n_kv_head,
            head_dim=head_size,
            rms_norm_eps=1e-4,
            max_position_embeddings=32,
            rope_parameters={"rope_type": "default", "rope_theta": model.config.rope_theta},
            tie_word_embeddings=tied,
        )
    ).eval()
    mine = dict(model.named_parameters())
    state = {
        "model.embed_tokens.weight": mine["wte.weight"],
        "model.norm.weight": mine["norm_f.weight"],
        "lm_head.weight": model.lm_head.weight,
    }
    for i in range(3):
        here, there = f"blocks.{i}.", f"model.layers.{i}."
        q, k, v = mine[here + "attn.qkv.weight"].split(
            [4 * head_size, n_kv_head * head_size, n_kv_head * head_size]
        )
        gate, up = mine[here + "mlp.fc.weight"].chunk(2)
        state |= {there + f"self_attn.{n}_proj.weight": w for n, w in (("q", q), ("k", k), ("v", v))}
        state |= {there + f"mlp.{n}_proj.weight": w for n, w in (("gate", gate), ("up", up))}
        for a, b in {
            "norm_1": "input_layernorm",
            "norm_2": "post_attention_layernorm",
            "attn.proj": "self_attn.o_proj",
            "attn.q_norm": "self_attn.q_norm",
            "attn.k_norm": "self_attn.k_norm",
            "mlp.proj": "mlp.down_proj",
        }.items():
            state[f"{there}{b}.weight"] = mine[f"{here}{a}.weight"]
    theirs.load_state_dict(state)
    assert_equal_logits(model, theirs)
