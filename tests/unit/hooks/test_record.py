"""Recording and editing: what is kept, what takes whose place, and what is said when nothing was seen."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.hooks import activation_names, edit, logit_lens, n_heads, patch, record, zero, zero_heads
from glassgpt.models import Model, build
from glassgpt.nn import AttnMask, ScaledDotProduct, masked_scores

V = 65


@pytest.fixture
def model() -> Model:
    made = build(ModelConfig(size="nano", preset="gpt2"), V)
    for p in made.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return made.eval()


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(V, (2, 8))


def test_the_pattern_decides_what_is_kept(model: Model, tokens: Tensor) -> None:
    with record(model, ["blocks.1.attn.weights", "*.resid_post"]) as seen:
        model(tokens)
    assert list(seen) == ["blocks.0.resid_post", "blocks.1.attn.weights", "blocks.1.resid_post"]
    assert seen["blocks.1.attn.weights"].shape == (2, 4, 8, 8)
    with pytest.raises(KeyError, match="was not recorded"):
        seen["logits"]


def test_an_unknown_name_names_what_is_near(model: Model) -> None:
    with pytest.raises(UserError, match=r"blocks\.0\.attn\.weights"), record(model, "blocks.0.attn.weight"):
        pass


def test_nothing_captured_is_an_error(model: Model) -> None:
    with pytest.raises(RuntimeError, match="nothing was captured"), record(model):
        pass
    with pytest.raises(RuntimeError, match="nothing was captured"), edit(model, {"logits": zero}):
        pass


def test_an_error_inside_is_not_hidden(model: Model) -> None:
    with pytest.raises(ZeroDivisionError), record(model):
        raise ZeroDivisionError


def test_no_hook_is_left_behind(model: Model, tokens: Tensor) -> None:
    with pytest.raises(AssertionError), record(model):
        model(tokens.repeat(1, 40))  # longer than the block
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_recorded_tensors_are_copies_unless_their_gradients_are_wanted(model: Model, tokens: Tensor) -> None:
    with record(model, "*.weights") as seen:
        model(tokens)
    assert not any(t.requires_grad for t in seen.values())
    with record(model, "blocks.0.resid_post", detach=False) as kept:
        out = model(tokens)
    (gradient,) = torch.autograd.grad(out.sum(), kept["blocks.0.resid_post"])
    assert gradient.abs().sum() > 0


def test_of_a_growing_cache_the_keys_of_that_moment_are_kept(model: Model, tokens: Tensor) -> None:
    cache = model.new_cache(2)
    with torch.no_grad(), record(model, "blocks.0.attn.k") as seen:
        model(tokens[:, :4], cache=cache)
        early = seen["blocks.0.attn.k"]
        copy = early.clone()
        model(tokens[:, 4:], cache=cache)
    assert early.shape[2] == 4 and seen["blocks.0.attn.k"].shape[2] == 8
    assert torch.equal(early, copy)


@torch.no_grad()
def test_a_head_that_is_off_writes_nothing(model: Model, tokens: Tensor) -> None:
    """The same as cutting its columns out of the output projection."""
    with record(model, "blocks.0.attn.*", edits={"blocks.0.attn.heads": zero_heads(1)}) as seen:
        off = model(tokens)
    assert not seen["blocks.0.attn.heads"][:, 1].any() and seen["blocks.0.attn.heads"][:, 0].all()
    D = model.config.head_dim
    model.blocks[0].attn.proj.weight[:, D : 2 * D] = 0
    torch.testing.assert_close(off, model(tokens))


@torch.no_grad()
def test_patching_a_state_carries_the_rest_of_the_run_over(model: Model, tokens: Tensor) -> None:
    other = torch.randint(V, (2, 8))
    with record(model, "blocks.0.resid_post") as seen:
        expected = model(other)
    with edit(model, {"blocks.0.resid_post": patch(seen["blocks.0.resid_post"])}):
        patched = model(tokens)
    assert torch.equal(patched, expected) and not torch.equal(patched, model(tokens))


@torch.no_grad()
@pytest.mark.parametrize("name", ["scores", "masked_scores", "weights"])
def test_heads_gather_by_edited_weights(model: Model, tokens: Tensor, name: str) -> None:
    """Unedited they gather as the kernel does; made even, they average what they may see."""
    with edit(model, {f"blocks.*.attn.{name}": lambda value: value}):
        torch.testing.assert_close(model(tokens), model(tokens))
    if name != "scores":
        return
    with record(model, "blocks.0.attn.*", edits={"blocks.0.attn.scores": zero}) as seen:
        model(tokens)
    counts = torch.arange(1, 9)[:, None]
    averages = seen["blocks.0.attn.v"].cumsum(2) / counts
    torch.testing.assert_close(seen["blocks.0.attn.heads"], averages)


def test_an_edit_of_another_shape_is_refused(model: Model, tokens: Tensor) -> None:
    with (
        pytest.raises(UserError, match=r"expected \(2, 8, 65\)"),
        edit(model, {"logits": lambda t: t[:, :1]}),
    ):
        model(tokens)


def test_heads_are_numbered(model: Model, tokens: Tensor) -> None:
    assert n_heads(model) == {"blocks.0.attn.heads": 4, "blocks.1.attn.heads": 4}
    with pytest.raises(UserError, match="from 0 to 3"), edit(model, {"blocks.0.attn.heads": zero_heads(4)}):
        model(tokens)


@torch.no_grad()
def test_under_autocast_weights_are_float32_and_the_output_the_same(model: Model, tokens: Tensor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        before = model(tokens)
        with record(model, "blocks.*") as seen:
            during = model(tokens)
    assert torch.equal(before, during)
    weights, q = seen["blocks.0.attn.weights"], seen["blocks.0.attn.q"]
    assert weights.dtype == torch.float32 and q.dtype == torch.bfloat16
    k = seen["blocks.0.attn.k"].float()
    exact = (q.float() @ k.mT / 4).masked_fill(~torch.ones(8, 8).tril().bool(), -torch.inf).softmax(-1)
    torch.testing.assert_close(weights, exact, atol=1e-6, rtol=0)  # bfloat16 would be off by 1e-3


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:.*should not be instantiated")  # torch's compiler, of torch's Function
@pytest.mark.parametrize("how", ["in place", "wrapped"])
def test_a_compiled_model_can_be_watched(model: Model, tokens: Tensor, how: str) -> None:
    expected = model(tokens)
    if how == "in place":
        model.compile(backend="eager")
        compiled = model
    else:
        compiled = torch.compile(model, backend="eager")
    compiled(tokens)
    with record(compiled, "*") as seen:
        assert torch.equal(compiled(tokens), expected)
    assert set(seen) == set(activation_names(model))
    assert torch.equal(compiled(tokens), expected)


@torch.no_grad()
def test_the_last_state_read_by_the_lens_is_what_the_model_says(model: Model, tokens: Tensor) -> None:
    with record(model, ["*.resid_p*"]) as seen:
        out = model(tokens)
    read = logit_lens(model, seen)
    assert list(read) == [f"blocks.{i}.resid_{at}" for i in range(2) for at in ("pre", "post")]
    assert torch.equal(read["blocks.1.resid_post"], out)
    with pytest.raises(UserError, match="no state"):
        logit_lens(model, {})


def test_other_models_are_refused() -> None:
    with pytest.raises(UserError, match="cannot look into a Linear: its hook points"):
        activation_names(torch.nn.Linear(2, 2))


class Softcap(ScaledDotProduct):
    """Attention with capped scores, 2 · tanh(s / 2), and its own reference."""

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        return 2 * torch.tanh(super().scores(q, k) / 2)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: AttnMask) -> Tensor:
        s = q @ k.mT / q.shape[-1] ** 0.5  # (B, H, T, S)
        return masked_scores(2 * torch.tanh(s / 2), mask).softmax(-1) @ v


class Sinks(ScaledDotProduct):
    """Attention with one extra score of 0 in each softmax, which gathers nothing."""

    def weights(self, q: Tensor, k: Tensor, mask: AttnMask) -> Tensor:
        s = masked_scores(self.scores(q, k), mask)
        return torch.cat([s, torch.zeros_like(s[..., :1])], -1).softmax(-1)[..., :-1]

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: AttnMask) -> Tensor:
        return self.weights(q, k, mask) @ v


class WithoutReference(Softcap):
    """A variant whose `forward` no longer does what the inherited `scores` say."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: AttnMask) -> Tensor:
        return super().forward(q, 3 * k, v, mask)


@torch.no_grad()
@pytest.mark.parametrize("variant", [Softcap, Sinks])
def test_a_variant_of_attention_is_recorded_by_its_own_reference(
    model: Model, tokens: Tensor, variant: type[ScaledDotProduct]
) -> None:
    plain = model(tokens)
    for block in model.blocks:
        block.attn.sdpa = variant()
    expected = model(tokens)
    with record(model) as seen:
        assert torch.equal(model(tokens), expected)
    assert not torch.allclose(plain, expected)
    weights, v = seen["blocks.0.attn.weights"], seen["blocks.0.attn.v"]
    torch.testing.assert_close(weights @ v, seen["blocks.0.attn.heads"])
    with record(model, "*.weights") as alone:
        model(tokens)
    assert torch.equal(alone["blocks.0.attn.weights"], weights)
    with edit(model, {"*.weights": lambda value: value}):
        torch.testing.assert_close(model(tokens), expected)
    if variant is Softcap:
        assert seen["blocks.0.attn.scores"].abs().max() <= 2
        with edit(model, {"*.scores": lambda value: value}):
            torch.testing.assert_close(model(tokens), expected)
        return
    with (
        pytest.raises(UserError, match="Sinks does not take a plain softmax"),
        edit(model, {"*.scores": zero}),
    ):
        model(tokens)


@torch.no_grad()
def test_a_variant_without_a_reference_is_refused(model: Model, tokens: Tensor) -> None:
    model.blocks[1].attn.sdpa = WithoutReference()
    expected = model(tokens)
    for name in ("scores", "masked_scores", "weights"):
        with pytest.raises(UserError, match=r"WithoutReference .* cannot be recorded"):
            with record(model, f"blocks.1.attn.{name}"):
                pass
    with record(model, ["blocks.1.attn.q", "blocks.1.attn.heads"]):
        assert torch.equal(model(tokens), expected)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
