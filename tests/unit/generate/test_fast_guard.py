"""The fast path steps aside for every option, layer and hook that it does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args, get_origin

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.generate import Engine, Request, SamplingParams
from glassgpt.generate.decoder import ModelDecoder
from glassgpt.generate.fast.decoder import CHOICES, IRRELEVANT, SUPPORTED, PackedDecoder
from glassgpt.generate.fast.torch_blocks import TorchBlocks
from glassgpt.models import GPT, build
from glassgpt.nn import (
    AttnMask,
    GeluMLP,
    KVCache,
    RMSNorm,
    Rope,
    RotaryEmbedding,
    ScaledDotProduct,
    SwigluMLP,
)
from helpers.zoo import MODELS, PACKED, V, make, wake

PROMPT = [1, 2, 3]


def a_gpt(name: str = "modern", **changes: object) -> GPT:
    torch.manual_seed(0)
    model = wake(make(name, **changes))
    assert isinstance(model, GPT)
    return model


def greedy(engine: Engine) -> list[int]:
    return [token.id for token in engine.stream(Request(PROMPT, SamplingParams(temperature=0), 12))]


def plain_loop(model: GPT) -> list[int]:
    """No cache, no engine: the whole text through the model for each token."""
    ids = list(PROMPT)
    with torch.no_grad():
        for _ in range(12):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[3:]


def test_every_field_of_the_configuration_is_decided() -> None:
    undecided = set(ModelConfig.model_fields) - SUPPORTED - IRRELEVANT
    assert not undecided, f"name {undecided} in SUPPORTED or IRRELEVANT of generate/fast/decoder.py"
    assert SUPPORTED | IRRELEVANT == set(ModelConfig.model_fields)
    assert not SUPPORTED & IRRELEVANT


def test_every_choice_of_a_supported_field_is_decided() -> None:
    """A new value of a field is not supported before it is listed."""
    literals = {
        name: get_args(field.annotation)
        for name, field in ModelConfig.model_fields.items()
        if name in SUPPORTED and get_origin(field.annotation) is Literal
    }
    assert literals.keys() == CHOICES.keys()
    for name, values in literals.items():
        assert set(values) >= CHOICES[name]


@pytest.mark.parametrize("name", PACKED)
def test_our_decoders_are_supported(name: str) -> None:
    model = make(name)
    assert isinstance(model, GPT) and PackedDecoder.supports(model)


class NewOption(ModelConfig):
    """The configuration with an option that the fast path has never heard of."""

    softcap: float = 0.0


@pytest.mark.parametrize("softcap", [0.0, 2.0])
def test_an_unknown_option_counts_unless_it_is_at_its_default(softcap: float) -> None:
    config = NewOption.model_validate({**MODELS["modern"], "softcap": softcap})
    model = wake(build(config, V))
    engine = Engine(model, max_batch=1)
    assert type(engine.decoder) is (ModelDecoder if softcap else PackedDecoder)
    assert isinstance(model, GPT) and greedy(engine) == plain_loop(model)


def test_an_unknown_choice_of_a_known_option() -> None:
    model = a_gpt()
    for name in CHOICES:
        config = model.config.model_copy(update={name: "new"})
        model.config, known = config, model.config
        assert not PackedDecoder.supports(model)
        model.config = known
    assert PackedDecoder.supports(model)


class Softcap(ScaledDotProduct):
    """Attention with capped scores, as in Gemma 2."""

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        return 0.2 * torch.tanh(super().scores(q, k) / 0.2)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: AttnMask) -> Tensor:
        v = v.repeat_interleave(q.shape[1] // v.shape[1], dim=1)  # (B, H, S, D)
        return self.weights(q, k, mask) @ v


class Relu2MLP(GeluMLP):
    def forward(self, x: Tensor) -> Tensor:
        return self.proj(F.relu(self.fc(x)).square())


class OtherMLP(SwigluMLP):
    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.fc(x).chunk(2, dim=-1)  # (B, T, hidden) each
        return self.proj(F.relu(gate) * up)


class ShiftedNorm(RMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


class OtherRope(RotaryEmbedding):
    def forward(self, start: int, T: int) -> Rope:
        cos, sin = super().forward(start, T)
        return Rope(cos, 0 * sin)


class ScaledLinear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def with_softcap(model: GPT) -> None:
    for block in model.blocks:
        block.attn.sdpa = Softcap()


def with_other_mlp(model: GPT) -> None:
    for block in model.blocks:
        block.mlp.__class__ = OtherMLP


def with_other_norms(model: GPT) -> None:
    model.blocks[1].norm_2.__class__ = ShiftedNorm


def with_other_final_norm(model: GPT) -> None:
    model.norm_f.__class__ = ShiftedNorm


def with_other_query_norm(model: GPT) -> None:
    model.blocks[0].attn.q_norm.__class__ = ShiftedNorm


def with_other_positions(model: GPT) -> None:
    assert model.rope is not None
    model.rope.__class__ = OtherRope


def with_other_linears(model: GPT) -> None:
    model.blocks[0].attn.proj.__class__ = ScaledLinear


def with_other_head(model: GPT) -> None:
    model.lm_head.__class__ = ScaledLinear
    with torch.no_grad():
        model.lm_head.weight.mul_(0.5).add_(torch.randn_like(model.lm_head.weight))


def with_own_forward(model: GPT) -> None:
    mlp = model.blocks[1].mlp
    mlp.forward = lambda x: -mlp.proj(mlp.fc(x).chunk(2, dim=-1)[0])


def with_a_hook(model: GPT) -> None:
    model.blocks[0].register_forward_hook(lambda _, __, out: 0.5 * out + 1)


@pytest.mark.parametrize(
    "change",
    [
        with_softcap,
        with_other_mlp,
        with_other_norms,
        with_other_final_norm,
        with_other_query_norm,
        with_other_positions,
        with_other_linears,
        with_other_head,
        with_own_forward,
        with_a_hook,
    ],
)
def test_an_unknown_layer_or_a_hook(change: Callable[[GPT], None]) -> None:
    """The model itself generates; the fast path would compute something else."""
    model = a_gpt()
    change(model)
    engine = Engine(model, max_batch=1)
    assert type(engine.decoder) is ModelDecoder
    assert greedy(engine) == plain_loop(model)
    with torch.inference_mode():
        fast = PackedDecoder(model, 1)
        fast.prefill(0, PROMPT)
        wrong = fast.forward(0, [[4]])[0, 0]
        right = model(torch.tensor([[*PROMPT, 4]]))[0, -1]
    assert (wrong - right).abs().max() > 1e-3, "this change has no effect: the test shows nothing"


def test_torch_blocks_refuse_an_unknown_mlp() -> None:
    model = a_gpt("gpt2")
    cache = model.new_cache(1)
    assert isinstance(cache, KVCache)
    model.blocks[0].mlp.__class__ = Relu2MLP
    with pytest.raises(AssertionError, match="no fast path for Relu2MLP"):
        TorchBlocks(model, cache, "float32")
