"""The library's models compute what the slow, plain NumPy ones do: in float64 to the last digits."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from families.test_models import logits
from glassgpt.config import ModelConfig
from glassgpt.models import Model, build
from glassgpt.nn import (
    PAD,
    Attention,
    AttnMask,
    Block,
    GeluMLP,
    RotaryEmbedding,
    ScaledDotProduct,
    SinusoidalEmbedding,
    SwigluMLP,
    attention_weights,
)
from helpers.slow_transformer import rotated, sinusoid, slow_forward
from helpers.zoo import LABELED, MODELS, NANO, SEEING, V, source_for, wake

B, T = 3, 7
MIXED = {
    "gpt2-rope-gqa-window": dict(
        preset="gpt2", position="rope", rope_theta=50.0, n_kv_head=1, window=3, **NANO
    ),
    "gpt2-qk-norm-swiglu": dict(preset="gpt2", qk_norm=True, mlp="swiglu", n_hidden=40, **NANO),
    "modern-gelu-bias": dict(preset="modern", norm="layer", mlp="gelu", bias=True, **NANO),
    "odd-width": dict(preset="modern", position="sinusoidal", n_embd=63, n_head=3, **NANO),
    "gpt2-narrow-heads": dict(preset="gpt2", head_size=5, norm_eps=0.01, **NANO),
    "seq2seq-wide-heads": dict(family="seq2seq", head_size=24, norm_eps=1e-3, **NANO),
    "encoder-gqa-tied": dict(family="encoder", n_kv_head=2, tie_embeddings=True, **NANO),
    "classifier-window": dict(preset="modern", window=2, **LABELED),
    "seq2seq-gqa-window": dict(family="seq2seq", n_kv_head=2, window=3, n_encoder_layer=3, **NANO),
    "seq2seq-sinusoidal": dict(family="seq2seq", preset="gpt2", position="sinusoidal", **NANO),
    "captioner-window-gqa": dict(preset="gpt2", window=2, n_kv_head=2, channels=3, **SEEING),
}
ALL = MODELS | MIXED


class Case(NamedTuple):
    """A model in float32, what it is given, and what happens in the slow one."""

    model: Model
    tokens: Tensor
    source: Tensor | None
    slow: dict[str, np.ndarray]


def make(name: str) -> Model:
    """Images have 3 × 3 patches."""
    return wake(build(ModelConfig.model_validate(ALL[name] | dict(image_size=12)), V))


@cache
def case(name: str) -> Case:
    """Tokens (B, T), and a source where a model has one, of several lengths wherever they may be."""
    torch.manual_seed(0)
    model = make(name)
    tokens, source = torch.randint(V, (B, T)), source_for(model, B)
    if model.config.family != "bigram":
        tokens[1, 4:], tokens[2, 1:] = PAD, PAD
    if model.config.family == "seq2seq" and source is not None:
        source[0, 6:], source[2, 1:] = PAD, PAD
    weights = {at: w.numpy() for at, w in model.state_dict().items()}
    given = None if source is None else source.numpy()
    return Case(model, tokens, source, slow_forward(model.config, weights, tokens.numpy(), given))


def turns(length: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (length, head_dim / 2): where the first unit vector of each pair turns to."""
    first = np.zeros((1, 1, length, head_dim))
    first[..., : head_dim // 2] = 1
    cos, sin = torch.from_numpy(rotated(first, theta)[0, 0]).chunk(2, dim=-1)
    return cos, sin


def exact(model: Model) -> Model:
    """A copy in float64. Its fixed tables were rounded to float32 at birth, so they are made again."""
    config, copy = model.config, deepcopy(model).double()
    for module in copy.modules():
        if isinstance(module, RotaryEmbedding):
            module.cos, module.sin = turns(len(module.cos), config.head_dim, config.rope_theta)
        elif isinstance(module, SinusoidalEmbedding):
            module.table = torch.from_numpy(sinusoid(*module.table.shape))
    return copy


@torch.no_grad()
@pytest.mark.parametrize("name", ALL)
def test_logits_in_float32(name: str) -> None:
    model, tokens, source, slow = case(name)
    assert slow["logits"].std() > 0.1  # there is something to compare
    found = logits(model, tokens, source).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow["logits"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["modern", "gpt2-rope-gqa-window", "sinusoidal", "odd-width"])
def test_tables_of_positions_are_the_exact_ones_rounded(name: str) -> None:
    """As far as float32 carries an angle of up to 64."""
    model = make(name)
    before, after = dict(model.named_buffers()), dict(exact(model).named_buffers())
    assert before and before.keys() == after.keys()
    for at, table in before.items():
        assert table.dtype == torch.float32
        torch.testing.assert_close(table.double(), after[at], atol=1e-5, rtol=0)


def watch(model: Model) -> dict[str, Tensor]:
    """What the modules take and give in the model's next forward pass; filled by hooks."""
    seen: dict[str, Tensor] = {}

    def note(at: str, module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        match module:
            case Block():
                seen[f"{at}.resid_pre"], seen[f"{at}.resid_post"] = given[0], out
            case ScaledDotProduct():
                q, k, v, mask = given
                assert isinstance(mask, AttnMask)
                P = at.removesuffix(".sdpa")
                seen.update({f"{P}.q": q, f"{P}.k": k, f"{P}.v": v, f"{P}.heads": out})
                seen[f"{P}.weights"] = attention_weights(q, k, mask)
            case Attention() | GeluMLP() | SwigluMLP():
                seen[f"{at}.out"] = out
            case nn.Linear() if at.endswith("mlp.proj"):
                seen[at.replace("proj", "hidden")] = given[0]
            case _ if at.endswith("norm_f"):
                seen[at] = out
            case _ if at.endswith("norm_cross"):
                seen[at.replace("norm_cross", "resid_mid")] = given[0]
            case _ if at.endswith("norm_2"):
                block = at.removesuffix("norm_2")
                seen[block + ("resid_cross" if block + "resid_mid" in seen else "resid_mid")] = given[0]

    for at, module in model.named_modules():
        module.register_forward_hook(lambda module, given, out, at=at: note(at, module, given, out))
    return seen


@torch.no_grad()
@pytest.mark.parametrize("name", ALL)
def test_all_that_happens_in_float64(name: str) -> None:
    """The logits, and every tensor that a module takes or gives: nothing is missing or left over."""
    model, tokens, source, slow = case(name)
    model = exact(model)
    seen = watch(model)
    seen["logits"] = logits(model, tokens, source)
    assert seen.keys() == {key for key in slow if not key.endswith("scores")}
    for key, tensor in seen.items():
        assert tensor.dtype == torch.float64
        np.testing.assert_allclose(tensor.numpy(), slow[key], atol=1e-11, rtol=0, err_msg=key)


@pytest.mark.parametrize("name", [name for name in ALL if name != "bigram"])
def test_scores_become_weights(name: str) -> None:
    """Masked scores are the scores or −∞; their exponentials have the proportions of the weights."""
    seen = case(name).slow
    attentions = [key.removesuffix(".scores") for key in seen if key.endswith(".scores")]
    assert attentions
    for at in attentions:
        q, k = seen[f"{at}.q"], seen[f"{at}.k"]
        k = k.repeat(q.shape[1] // k.shape[1], axis=1)
        scores, masked, weights = (seen[f"{at}.{x}"] for x in ("scores", "masked_scores", "weights"))
        np.testing.assert_allclose(scores, q @ k.swapaxes(2, 3) * q.shape[-1] ** -0.5, atol=1e-12)
        shown = masked > -np.inf
        assert (masked[shown] == scores[shown]).all() and (shown == (weights > 0)).all()
        powers = np.exp(masked)
        np.testing.assert_allclose(weights, powers / powers.sum(-1, keepdims=True), atol=1e-12)
