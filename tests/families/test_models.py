"""One suite for every model: what must hold whatever it is made of."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from glassgpt.config import ModelConfig, OptimConfig
from glassgpt.diagnose import expected_initial_loss
from glassgpt.models import Model, build
from glassgpt.train import make_optimizers

V = 65
MODELS = {
    "bigram": dict(family="bigram"),
    "gpt2": dict(preset="gpt2", size="nano"),
    "modern": dict(preset="modern", size="nano"),
    "modern-gqa": dict(preset="modern", size="nano", n_kv_head=2),
    "modern-tied": dict(preset="modern", size="nano", tie_embeddings=True),
    "sinusoidal": dict(preset="gpt2", size="nano", position="sinusoidal"),
    "no-positions": dict(preset="gpt2", size="nano", position="none", bias=False),
}
GPTS = [name for name in MODELS if name != "bigram"]


def make(name: str, **changes: object) -> Model:
    return build(ModelConfig.model_validate({**MODELS[name], **changes}), V)


def wake(model: Model) -> Model:
    """Random weights everywhere, so that no zero-initialised layer hides a mistake."""
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 2:
                p.normal_(std=0.1)
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_shapes(name: str) -> None:
    assert make(name)(torch.randint(V, (3, 20))).shape == (3, 20, V)


@pytest.mark.parametrize("name", MODELS)
def test_loss_at_init_is_the_expected_one(name: str) -> None:
    """Averaged over enough random targets that the noise of the measurement is far below the bound."""
    losses = []
    for seed in range(8):
        torch.manual_seed(seed)
        model = make(name)
        tokens = torch.randint(V, (64, 64))
        targets = torch.randint(V, (64 * 64,))
        losses.append(F.cross_entropy(model(tokens).flatten(0, 1), targets).item())
    expected = expected_initial_loss(V, model.expected_logit_variance())
    assert sum(losses) / len(losses) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("name", ["gpt2", "modern", "modern-tied"])
def test_loss_at_init_of_a_wide_model(name: str) -> None:
    model = make(name, size="mini")
    tokens, targets = torch.randint(V, (8, 256)), torch.randint(V, (8 * 256,))
    loss = F.cross_entropy(model(tokens).flatten(0, 1), targets).item()
    assert loss == pytest.approx(expected_initial_loss(V, model.expected_logit_variance()), abs=0.05)


@pytest.mark.parametrize("name", MODELS)
def test_no_token_sees_the_future(name: str) -> None:
    """By gradient: logits at t depend on no embedding after t, and (but for the bigram) on all before."""
    model = wake(make(name))
    tokens = torch.randint(V, (1, 12))
    seen: list[torch.Tensor] = []
    table = model.table if name == "bigram" else model.wte
    handle = table.register_forward_hook(lambda _m, _i, out: seen.append(out.retain_grad() or out))
    model(tokens)[0, 5].logsumexp(-1).backward()
    handle.remove()
    touched = seen[0].grad[0].abs().sum(-1) > 0
    assert not touched[6:].any()
    assert touched[5] and (name == "bigram" or touched[:5].all())


@pytest.mark.parametrize("name", MODELS)
def test_nothing_crosses_the_batch(name: str) -> None:
    model = wake(make(name))
    tokens = torch.randint(V, (4, 16))
    alone = torch.cat([model(row[None]) for row in tokens])
    torch.testing.assert_close(model(tokens), alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", GPTS)
@pytest.mark.parametrize("cuts", [(7, 12), (1, 2, 3), (19,)])
def test_cached_equals_uncached(name: str, cuts: tuple[int, ...]) -> None:
    model = wake(make(name))
    tokens = torch.randint(V, (2, 20))
    cache = model.new_cache(2, max_len=20)
    pieces = [model(piece, cache=cache) for piece in tokens.tensor_split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_overfits_one_batch(name: str) -> None:
    """8 sequences below 0.05 nats; a bigram cannot, so its sequences repeat one cycle of tokens."""
    model = make(name)
    tokens = torch.randint(V, (8, 33))
    if name == "bigram":
        tokens = torch.arange(33).repeat(8, 1)
    config = OptimConfig(lr=0.1 if name == "bigram" else 0.003, warmup=0)
    optimizers = make_optimizers(model, config)
    loss = math.inf
    for _ in range(300):
        logits = model(tokens[:, :-1])
        batch_loss = F.cross_entropy(logits[:, 1:].flatten(0, 1), tokens[:, 2:].flatten())
        batch_loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        loss = batch_loss.item()
        if loss < 0.05:
            break
    assert loss < 0.05


def test_small_is_gpt2() -> None:
    with torch.device("meta"):
        model = build(ModelConfig.model_validate(dict(preset="gpt2", size="small")), 50_257)
    assert model.n_params == 124_439_808
