"""A trained model is at its best as it was trained; a run's weights have the loss that it recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import glassgpt as gg
from glassgpt.config import ModelConfig
from glassgpt.diagnose import Score, Verdict
from glassgpt.doctor import Subject, examine_outcome
from glassgpt.doctor.alternatives import alternatives
from glassgpt.doctor.gains import LEARNED

V, T = 24, 24
RULE = torch.randperm(V, generator=torch.Generator().manual_seed(3))


def text(seed: int, rows: int = 24) -> Tensor:
    """Return tokens of which each repeats the token three places before it, or is that of a rule."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(0, V, (rows, T), generator=generator)
    pick = torch.rand(rows, T, generator=generator)
    for t in range(3, T):
        drawn[:, t] = torch.where(pick[:, t] < 0.5, RULE[drawn[:, t - 1]], drawn[:, t])
        drawn[:, t] = torch.where(pick[:, t] > 0.55, drawn[:, t - 3], drawn[:, t])
    return drawn


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    torch.manual_seed(0)
    model = gg.build(ModelConfig(n_layer=2, n_head=2, n_embd=32, block_size=T), V)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(170):
        tokens = text(100 + step, 16)
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def causes(model: nn.Module, recorded: float | None = None) -> list[tuple[str, str]]:
    subject = Subject(model, text(1), recorded_loss=recorded)
    return [(each.category, each.cause) for each in LEARNED.run(subject) if not each.is_healthy]


def test_a_trained_model_is_at_its_best(trained: nn.Module) -> None:
    assert causes(copy.deepcopy(trained)) == []


@torch.no_grad()
def blocks_exchanged(model: nn.Module) -> None:
    model.blocks[0], model.blocks[1] = model.blocks[1], model.blocks[0]


@torch.no_grad()
def transposed(model: nn.Module) -> None:
    for block in model.blocks:
        block.attn.proj.weight.copy_(block.attn.proj.weight.T.clone())


def test_another_rotary_base_can_be_undone(trained: nn.Module) -> None:
    model, other = copy.deepcopy(trained), ModelConfig(n_embd=32, n_head=2, block_size=T, rope_theta=100.0)
    model.rope = gg.build(other, V).rope
    subject = Subject(model, text(1))
    expected = trained(text(1))
    assert (model(text(1)) - expected).abs().max() > 0.01
    tried = [each for each in alternatives(subject, subject.data) if each.category == "positions"]
    differences = list[float]()
    for each in tried:
        with torch.no_grad(), each.apply():
            differences.append(float((model(text(1)) - expected).abs().max()))
    assert len(tried) == 5 and min(differences) < 1e-3


@torch.no_grad()
def larger_mlp(model: nn.Module) -> None:
    for p in model.blocks[0].mlp.parameters():
        p.mul_(2.0)


@torch.no_grad()
def queries_and_keys_of_one_block(model: nn.Module) -> None:
    weight = model.blocks[1].attn.qkv.weight
    q, k, v = weight.clone().split(len(weight) // 3)
    weight.copy_(torch.cat([k, q, v]))


@pytest.mark.parametrize(
    ("plant", "category", "cause"),
    [
        (blocks_exchanged, "residual", "blocks are exchanged"),
        (transposed, "projections", "a matrix is transposed"),
        (larger_mlp, "mlp", "the MLP's matrices have the wrong size"),
        (queries_and_keys_of_one_block, "projections", "queries and keys are exchanged"),
    ],
)
def test_the_other_way_that_is_better_is_named(
    trained: nn.Module, plant: Callable[[nn.Module], None], category: str, cause: str
) -> None:
    model = copy.deepcopy(trained)
    plant(model)
    assert causes(model, recorded=1.1) == [(category, cause)]


def test_weights_with_their_recorded_loss_are_left_alone(trained: nn.Module) -> None:
    """A model that has not learned long may be better with smaller parts, and nothing is wrong with it."""
    model = copy.deepcopy(trained)
    larger_mlp(model)
    found = LEARNED.run(Subject(model, text(1), is_as_recorded=True))
    assert all(each.is_healthy for each in found)


def test_a_part_that_is_random_again(trained: nn.Module) -> None:
    model = copy.deepcopy(trained)
    torch.manual_seed(5)
    for p in model.blocks[1].mlp.parameters():
        nn.init.normal_(p, std=0.3)
    ((category, _),) = causes(model, recorded=1.1)
    assert category == "mlp"


def counted(pair: float) -> Verdict:
    rows = [
        Score("bigram", pair, 5000, 5000, kind="ngram"),
        Score("unigram", 15_000.0, 5000, 5000, kind="ngram"),
    ]
    return Verdict(Score("the model", 15_000.0, 5000, 5000), tuple(rows), "")


@pytest.mark.parametrize(
    ("pair", "causes"), [(12_000.0, []), (14_990.0, ["the order of the text says nothing"])]
)
def test_a_text_in_random_order(
    pair: float, causes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glassgpt.checkpoint.Run.verdict", lambda _: counted(pair))
    found = examine_outcome(gg.Run(tmp_path))
    assert [each.cause for each in found.problems if each.category == "data"] == causes
