"""One suite for every model: what must hold whatever it is made of."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from torch import Tensor

from glassgpt.checkpoint import load_weights, weights
from glassgpt.config import ModelConfig, OptimConfig
from glassgpt.data import IGNORE, Batch
from glassgpt.diagnose import expected_initial_loss
from glassgpt.models import Model, build
from glassgpt.nn import PAD
from glassgpt.objective import CrossEntropy
from glassgpt.train import make_optimizers
from helpers.zoo import CROSS, DECODERS, MODELS, TRANSFORMERS, V, make, source_for, wake


def logits(model: Model, tokens: Tensor, source: Tensor | None = None) -> Tensor:
    return CrossEntropy(model).logits(Batch(tokens, tokens, source))


def hardest_batch(model: Model) -> Batch:
    """8 sequences that can only be learned by heart, from a source where there is one.

    A bigram cannot, so its sequences repeat one cycle of tokens.
    """
    config, tokens, source = model.config, torch.randint(V, (8, 33)), source_for(model, 8)
    if config.labels:
        return Batch(tokens, torch.randint(3, (8, 1)))
    if config.family == "encoder":
        hidden = torch.rand(tokens.shape) < 0.15
        return Batch(tokens.masked_fill(hidden, V - 1), tokens.masked_fill(~hidden, IGNORE))
    if config.family == "bigram":
        tokens = torch.arange(33).repeat(8, 1)
    targets = tokens[:, 1:].clone()
    if source is None:
        targets[:, 0] = IGNORE  # what follows the first token may be ambiguous
    else:
        tokens[:, 0] = 0  # all begin alike: only the source tells what comes next
    return Batch(tokens[:, :-1], targets, source)


@pytest.mark.parametrize("name", MODELS)
def test_shapes(name: str) -> None:
    model = make(name)
    shape = (3, 1, 3) if model.config.labels else (3, 20, V)
    assert logits(model, torch.randint(V, (3, 20)), source_for(model, 3)).shape == shape


@pytest.mark.parametrize("name", MODELS)
def test_loss_at_init_is_the_expected_one(name: str) -> None:
    """Averaged over enough random targets that the noise of the measurement is far below the bound."""
    losses = []
    for seed in range(8):
        torch.manual_seed(seed)
        model = make(name)
        z = logits(model, torch.randint(V, (64, 64)), source_for(model, 64)).flatten(0, 1)
        losses.append(F.cross_entropy(z, torch.randint(z.shape[-1], (len(z),))).item())
    expected = expected_initial_loss(3 if "classifier" in name else V, model.expected_logit_variance())
    assert sum(losses) / len(losses) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("name", ["gpt2", "modern", "modern-tied"])
def test_loss_at_init_of_a_wide_model(name: str) -> None:
    model = make(name, size="mini")
    tokens, targets = torch.randint(V, (8, 256)), torch.randint(V, (8 * 256,))
    loss = F.cross_entropy(model(tokens).flatten(0, 1), targets).item()
    assert loss == pytest.approx(expected_initial_loss(V, model.expected_logit_variance()), abs=0.05)


def seen_places(config: ModelConfig, t: int, T: int) -> list[bool]:
    """Which tokens the logits at t may depend on, and do: as far as the blocks reach, ahead in encoders."""
    reach = T if config.window is None else config.n_layer * (config.window - 1)
    back = 0 if config.family == "bigram" else reach
    ahead = reach if config.family == "encoder" else 0
    return [t - back <= place <= t + ahead for place in range(T)]


@pytest.mark.parametrize("name", MODELS)
def test_every_token_sees_what_it_may_and_no_other(name: str) -> None:
    """By gradient: a decoder all of the past and none of the future, an encoder both sides."""
    model = wake(make(name))
    seen: list[Tensor] = []
    table = model.table if name == "bigram" else model.wte
    handle = table.register_forward_hook(lambda _m, _i, out: seen.append(out.retain_grad() or out))
    t = 0 if model.config.labels else 10
    logits(model, torch.randint(V, (1, 20)), source_for(model, 1))[0, t].logsumexp(-1).backward()
    handle.remove()
    touched = seen[-1].grad[0].abs().sum(-1) > 0  # the last: seq2seq embeds its source first
    assert touched.tolist() == seen_places(model.config, t, 20)


@pytest.mark.parametrize("name", CROSS)
def test_a_decoder_sees_all_of_its_source(name: str) -> None:
    model = wake(make(name))
    memory = model.encode(source_for(model, 2))
    memory.states.retain_grad()
    model(torch.randint(V, (2, 5)), memory=memory)[0, 0].logsumexp(-1).backward()
    assert (memory.states.grad[0].abs().sum(-1) > 0).all() and not memory.states.grad[1].any()


@pytest.mark.parametrize("name", MODELS)
def test_nothing_crosses_the_batch(name: str) -> None:
    model = wake(make(name))
    tokens, source = torch.randint(V, (4, 16)), source_for(model, 4)
    rows = [slice(i, i + 1) for i in range(4)]
    alone = [logits(model, tokens[row], None if source is None else source[row]) for row in rows]
    torch.testing.assert_close(logits(model, tokens, source), torch.cat(alone), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_padding_changes_no_real_place(name: str) -> None:
    """Sequences filled up at their ends, sources too where they are tokens, equal each one alone."""
    model = wake(make(name))
    tokens, source, lengths = torch.randint(V, (3, 16)), source_for(model, 3), [16, 7, 1]
    alone = []
    for i, n in enumerate(lengths):
        of_row = None if source is None else source[i : i + 1]
        if model.config.family == "seq2seq":
            of_row = source[i : i + 1, : n // 2 + 1]
            source[i, n // 2 + 1 :] = PAD
        alone.append(logits(model, tokens[i : i + 1, :n], of_row)[0])
        tokens[i, n:] = PAD
    padded = logits(model, tokens, source)
    for row, expected in zip(padded, alone, strict=True):
        torch.testing.assert_close(row[: len(expected)], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("cuts", [(7, 12), (1, 2, 3), (19,)])
def test_cached_equals_uncached(name: str, cuts: tuple[int, ...]) -> None:
    model = wake(make(name))
    tokens, source = torch.randint(V, (2, 20)), source_for(model, 2)
    memory = None if source is None else model.encode(source)
    cache = model.new_cache(2, max_len=20)
    pieces = [model(piece, memory=memory, cache=cache) for piece in tokens.tensor_split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens, memory=memory), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CROSS)
def test_a_blank_memory_says_nothing_of_the_source(name: str) -> None:
    """Neither its content nor, by its padding, its length."""
    model = wake(make(name))
    tokens, source = torch.randint(V, (1, 8)).repeat(2, 1), source_for(model, 2)
    if name.startswith("seq2seq"):
        source[1, 4:] = PAD
    memory = model.encode(source)
    one, other = model(tokens, memory=memory)
    assert (one - other).abs().max() > 0.01
    one, other = model(tokens, memory=memory.blank())
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_overfits_one_batch(name: str) -> None:
    """8 sequences below 0.05 nats."""
    model = make(name)
    batch, objective = hardest_batch(model), CrossEntropy(model)
    optimizers = make_optimizers(model, OptimConfig(lr=0.1 if name == "bigram" else 0.003, warmup=0))
    loss = math.inf
    for _ in range(300):
        total, n_tokens, _ = objective(batch)
        (total / n_tokens).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        loss = (total / n_tokens).item()
        if loss < 0.05:
            break
    assert loss < 0.05


@pytest.mark.parametrize("name", MODELS)
def test_weights_come_back_from_a_file(name: str) -> None:
    """Shared tensors are written once, and are shared again afterwards."""
    model, other = wake(make(name)), make(name).eval()
    saved = weights(model)
    assert len({t.data_ptr() for t in saved.values()}) == len(saved)
    load_weights(other, load(save(saved)))
    assert weights(other).keys() == saved.keys()
    assert other.n_params == sum(t.numel() for t in saved.values())
    tokens, source = torch.randint(V, (2, 10)), source_for(model, 2)
    assert torch.equal(logits(model, tokens, source), logits(other, tokens, source))


@pytest.mark.parametrize("name", MODELS)
def test_no_weight_is_dead(name: str) -> None:
    model = wake(make(name))
    total = CrossEntropy(model)(hardest_batch(model)).total
    total.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("kind", ["muon", "adamw"])
@pytest.mark.parametrize("name", MODELS)
def test_every_weight_has_one_optimizer(name: str, kind: str) -> None:
    model = make(name)
    optimizers = make_optimizers(model, OptimConfig.model_validate(dict(optimizer=kind)))
    held = [p for o in optimizers.values() for group in o.param_groups for p in group["params"]]
    assert sorted(map(id, held)) == sorted(map(id, model.parameters()))
    assert ("muon" in optimizers) == (kind == "muon" and name != "bigram")


def test_small_is_gpt2() -> None:
    with torch.device("meta"):
        model = build(ModelConfig.model_validate(dict(preset="gpt2", size="small")), 50_257)
    assert model.n_params == 124_439_808
