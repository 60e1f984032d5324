"""Optimizers: Muon does what its source says, and state survives the trip to a checkpoint."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import nn

from glassgpt.config import ModelConfig, OptimConfig
from glassgpt.errors import UserError
from glassgpt.models import Model, build
from glassgpt.train import Muon, make_optimizers, optim, orthogonalize
from glassgpt.train.optim import (
    COEFFICIENTS,
    OPTIMIZERS,
    OptimizerSpec,
    SparseRMSprop,
    clip_gradients,
    current_lrs,
    load_state_tensors,
    set_lr,
    state_tensors,
)


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 32), (2, 32, 8)])
def test_orthogonalize_keeps_directions_and_equalises_speeds(shape: tuple[int, ...]) -> None:
    """Against the slow reference: U Vᵀ of the singular value decomposition."""
    G = torch.randn(shape)
    U, _, Vh = torch.linalg.svd(G, full_matrices=False)
    X = orthogonalize(G)
    speeds = torch.linalg.svdvals(X)
    assert 0.6 < speeds.min() and speeds.max() < 1.3
    alignment = ((U.mT @ X @ Vh.mT).diagonal(dim1=1, dim2=2)).min()
    assert alignment > 0.6


@pytest.mark.parametrize("smallest", [1e-2, 1e-5, 0.0])
def test_orthogonalize_by_the_gram_matrix_is_the_plain_iteration(smallest: float) -> None:
    """Against the plain one in float64, also where the gradient has almost no rank."""
    U, _, Vh = torch.linalg.svd(torch.randn(2, 24, 96), full_matrices=False)
    speeds = torch.logspace(0, -2, 24) * (torch.arange(24) < 12) + smallest
    G = U * speeds @ Vh
    X = G.double() / G.double().norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        A = X @ X.mT
        X = COEFFICIENTS[0] * X + (COEFFICIENTS[1] * A + COEFFICIENTS[2] * A @ A) @ X
    torch.testing.assert_close(orthogonalize(G).double(), X, atol=2e-3, rtol=0)


def test_muon_moves_batched_matrices_as_it_would_each_alone() -> None:
    together = [
        nn.Parameter(torch.randn(8, 4)),
        nn.Parameter(torch.randn(8, 4)),
        nn.Parameter(torch.randn(4, 4)),
    ]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    for p, q in zip(together, alone, strict=True):
        p.grad = torch.randn_like(p)
        q.grad = p.grad.clone()
    Muon(together, lr=0.1, weight_decay=0.01).step()
    for q in alone:
        Muon([q], lr=0.1, weight_decay=0.01).step()
    for p, q in zip(together, alone, strict=True):
        torch.testing.assert_close(p, q)


def model() -> Model:
    return build(ModelConfig.model_validate(dict(size="nano")), 65)


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_every_weight_has_one_optimizer(kind: str) -> None:
    m = model()
    optimizers = make_optimizers(m, OptimConfig.model_validate(dict(optimizer=kind)))
    held = [p for o in optimizers.values() for group in o.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in m.parameters()} and len(held) == len(list(m.parameters()))
    assert ("muon" in optimizers) == (kind == "muon")


def test_embeddings_norms_and_biases_do_not_decay() -> None:
    m = build(ModelConfig.model_validate(dict(size="nano", preset="gpt2")), 65)
    optimizers = make_optimizers(m, OptimConfig(optimizer="adamw", weight_decay=0.5))
    for group in optimizers["adamw"].param_groups:
        if group["weight_decay"]:
            assert all(p.ndim == 2 and p is not m.wte.weight for p in group["params"])


def test_state_round_trip_continues_identically() -> None:
    def train_step(m: Model, optimizers: dict, seed: int) -> None:
        torch.manual_seed(seed)
        m(torch.randint(65, (2, 16))).pow(2).mean().backward()
        set_lr(optimizers, 0.5)
        for o in optimizers.values():
            o.step()
            o.zero_grad()

    first = model()
    opt_first = make_optimizers(first, OptimConfig())
    for seed in range(3):
        train_step(first, opt_first, seed)
    second = model()
    second.load_state_dict(first.state_dict())
    opt_second = make_optimizers(second, OptimConfig())
    saved = {name: t.clone() for name, t in state_tensors(opt_first, first).items()}
    load_state_tensors(opt_second, second, saved)
    for m, optimizers in ((first, opt_first), (second, opt_second)):
        train_step(m, optimizers, 9)
    for (name, p), q in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(p, q), name


def test_rows_move_as_in_adam_without_momentum_and_only_when_touched() -> None:
    torch.manual_seed(1)
    table = nn.Embedding(6, 3, sparse=True)
    row, slow = table.weight.detach()[2].clone(), torch.zeros(3)
    others = table.weight.detach()[[0, 1, 3, 5]].clone()
    optimizer = SparseRMSprop([table.weight], lr=0.1, beta2=0.9)
    for step, touched in enumerate([[2, 2], [4], [2, 4]], start=1):
        optimizer.zero_grad()
        (table(torch.tensor(touched)).sum(0) * torch.tensor([1.0, -2.0, 0.5]) * step).sum().backward()
        optimizer.step()
        if 2 in touched:
            g = torch.tensor([1.0, -2.0, 0.5]) * step * touched.count(2)
            slow = 0.9 * slow + 0.1 * g * g
            row = row - 0.1 * g / (slow / (1 - 0.9**step)).sqrt()
    torch.testing.assert_close(table.weight.detach()[2], row)
    assert torch.equal(table.weight.detach()[[0, 1, 3, 5]], others)


def test_a_new_optimizer_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put before the others, it takes its parameters from them, with a rate from the configuration."""

    def wanted(module: nn.Module, _: OptimConfig) -> list[torch.Tensor]:
        return [p for p in module.parameters() if p.ndim == 1]

    def make(params: list[torch.Tensor], *about: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(params, lr=about[-1])

    spec = OptimizerSpec("sgd", "ngram_lr", wanted, make)
    monkeypatch.setattr(optim, "OPTIMIZERS", (spec, *optim.OPTIMIZERS))
    m = model()
    optimizers = make_optimizers(m, OptimConfig(ngram_lr=0.5))
    held = [p for o in optimizers.values() for group in o.param_groups for p in group["params"]]
    assert list(optimizers) == ["sgd", "muon", "adamw"]
    assert {id(p) for p in held} == {id(p) for p in m.parameters()} and len(held) == len(list(m.parameters()))
    set_lr(optimizers, 0.5)
    assert current_lrs(optimizers) == {"sgd": 0.25, "muon": 0.015, "adamw": 0.01}


def test_clipping_measures_sparse_gradients_and_leaves_them() -> None:
    dense, table = nn.Parameter(torch.zeros(2)), nn.Embedding(4, 2, sparse=True)
    dense.grad = torch.tensor([3.0, 0.0])
    (table(torch.tensor([1, 1])) * 2).sum().backward()  # one row of gradient (4, 4)
    norm = clip_gradients([dense, table.weight], 1.0)
    assert norm == pytest.approx((3**2 + 4**2 + 4**2) ** 0.5)
    assert dense.grad.tolist() == pytest.approx([3 / norm, 0.0])
    assert table.weight.grad is not None and table.weight.grad.to_dense()[1].tolist() == [4.0, 4.0]
    dense.grad = torch.tensor([3.0, 0.0])
    clip_gradients([dense], 0.0)
    assert dense.grad.tolist() == [3.0, 0.0]


@pytest.mark.parametrize("choice", get_args(OptimConfig.model_fields["optimizer"].annotation))
def test_every_choice_has_its_rates(choice: str) -> None:
    config = OptimConfig(optimizer=choice)
    assert {spec.rate for spec in OPTIMIZERS} == config.peak_lrs.keys(), "OptimConfig.peak_lrs lacks a rate"
    model = build(ModelConfig.model_validate({"size": "nano", "ngram_order": 2, "ngram_rows": 64}), 65)
    for name, optimizer in make_optimizers(model, config).items():
        rate = next(spec.rate for spec in OPTIMIZERS if spec.name == name)
        assert all(group["peak_lr"] == config.peak_lrs[rate] for group in optimizer.param_groups)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("adamw/", "adam/"),  # no such optimizer
        ("muon/", "adamw/"),  # another one owns the weight
        ("/momentum", "/exp_avg"),  # a key that it does not keep
        ("blocks.0.", "blocks.7."),  # no such weight
    ],
)
def test_state_of_another_optimizer_is_refused(old: str, new: str) -> None:
    m = model()
    optimizers = make_optimizers(m, OptimConfig())
    for p in m.parameters():
        p.grad = torch.ones_like(p)
    for optimizer in optimizers.values():
        optimizer.step()
    tensors = state_tensors(optimizers, m)
    load_state_tensors(optimizers, m, tensors)
    renamed = {name.replace(old, new): t for name, t in tensors.items()}
    with pytest.raises(UserError, match="does not fit the optimizer"):
        load_state_tensors(make_optimizers(m, OptimConfig()), m, renamed)
    cut = {name: t[:1] if t.ndim else t for name, t in tensors.items()}
    with pytest.raises(UserError, match="does not fit the optimizer"):
        load_state_tensors(make_optimizers(m, OptimConfig()), m, cut)
