"""`examine`: it names planted bugs, is silent on healthy models, and leaves a model as it was."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import glassgpt as gg
from glassgpt.config import ModelConfig
from helpers.small_gpt import Attention, SmallGPT

V = 65


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, V, (4, 25), generator=generator)
    return tokens[:, :-1], tokens[:, 1:]


def small_gpt(seed: int = 0) -> SmallGPT:
    torch.manual_seed(seed)
    return SmallGPT(V)


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return model(*batch)[1]


def with_step(model: nn.Module, lr: float = 1e-3) -> tuple[torch.optim.Optimizer, Callable[..., None]]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()

    return optimizer, step


def causes(found: gg.Examination) -> list[str]:
    return [each.cause for each in found.problems]


@pytest.mark.parametrize("family", ["plain", "gpt"])
def test_a_healthy_model_and_its_training(family: str) -> None:
    model = small_gpt() if family == "plain" else gg.build(ModelConfig(n_layer=2, n_embd=32, n_head=2), V)
    if family == "gpt":
        assert gg.examine(model, batch()).is_healthy
        return
    optimizer, step = with_step(model)
    found = gg.examine(model, batch(), loss=loss, train_step=step, optimizer=optimizer)
    assert found.is_healthy, str(found)
    assert len(found.findings) > 25


def test_dropout_of_any_name_is_stated() -> None:
    shape = ModelConfig(n_layer=1, n_head=2, n_embd=32, block_size=32, ngram_order=3, ngram_rows=512)
    model = gg.build(shape.model_copy(update={"ngram_dropout": 0.5, "dropout": 0.1}), n_vocab=65)
    found = gg.examine(model, batch())
    assert "dropout" not in [each.category for each in found.problems], str(found)
    model.config = shape.model_copy(update={"ngram_dropout": 0.3, "dropout": 0.1})
    assert "dropout is not the stated one" in causes(gg.examine(model, batch()))


def test_everything_is_as_before() -> None:
    model = small_gpt().train()
    model.h[0].eval()
    optimizer, step = with_step(model)
    step(model, batch())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = [s["exp_avg"].clone() for s in optimizer.state_dict()["state"].values()]
    random = torch.get_rng_state()
    gg.examine(model, batch(), loss=loss, train_step=step, optimizer=optimizer)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(
        torch.equal(a, s["exp_avg"])
        for a, s in zip(state, optimizer.state_dict()["state"].values(), strict=True)
    )
    assert torch.equal(random, torch.get_rng_state())
    assert model.training and model.h[1].training and not model.h[0].training
    step(model, batch())  # the optimizer still holds the model's parameters


def no_mask(model: SmallGPT) -> None:
    model.h[1].attn.masked = lambda scores: scores


def late_mask(model: SmallGPT) -> None:
    model.h[0].attn.mask = torch.ones(64, 64).tril(1).bool()


def no_scale(model: SmallGPT) -> None:
    model.h[0].attn.scale = lambda q: 1.0


def no_positions(model: SmallGPT) -> None:
    model.wpe.weight.data.zero_()


def batch_norm(model: SmallGPT) -> None:
    model.ln_f.register_forward_hook(lambda module, args, out: out - out.mean(0, keepdim=True))


def no_skip(model: SmallGPT) -> None:
    model.h[1].register_forward_hook(lambda module, args, out: out - args[0])


def noise(model: SmallGPT) -> None:
    model.h[0].mlp.register_forward_hook(lambda module, args, out: out + 0.1 * torch.randn_like(out))


def detached(model: SmallGPT) -> None:
    model.h[0].attn.register_forward_hook(lambda module, args, out: out.detach())


def equal_heads(model: SmallGPT) -> None:
    weight = model.h[0].attn.c_attn.weight.data
    for part in weight.split(32):
        part[16:] = part[:16]


def dead_units(model: SmallGPT) -> None:
    model.h[0].mlp.c_fc.weight.data[:40] = 0
    model.h[0].mlp.c_fc.bias.data[:40] = -1


def zero_gain(model: SmallGPT) -> None:
    model.h[1].ln_1.weight.data.zero_()


@pytest.mark.parametrize(
    ("plant", "category"),
    [
        (no_mask, "mask"),
        (late_mask, "mask"),
        (no_scale, "attention scores"),
        (no_positions, "positions"),
        (batch_norm, "batch"),
        (no_skip, "residual"),
        (noise, "mlp"),
        (detached, "projections"),
        (equal_heads, "projections"),
        (dead_units, "mlp"),
        (zero_gain, "normalization"),
    ],
)
def test_a_planted_bug_is_named(plant: Callable[[SmallGPT], None], category: str) -> None:
    model = small_gpt()
    plant(model)
    found = gg.examine(model, batch())
    assert found.problems, f"{plant.__name__} was missed"
    assert category in [each.category for each in found.problems[:2]], str(found)


def shifted_twice(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    logits, targets = model(*batch)[0][:, :-1], batch[1][:, 1:]
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def own_token(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(*batch)[0].flatten(0, 1), batch[0].flatten())


def a_sum(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(*batch)[0].flatten(0, 1), batch[1].flatten(), reduction="sum")


def softmax_twice(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(*batch)[0].softmax(-1).flatten(0, 1), batch[1].flatten())


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        (shifted_twice, "the target is not the next token"),
        (own_token, "the target is not the next token"),
        (a_sum, "the loss is not a mean over targets"),
        (softmax_twice, "the loss is not a mean over targets"),
    ],
)
def test_a_wrong_objective_is_named(wrong: Callable[..., Tensor], cause: str) -> None:
    assert cause in causes(gg.examine(small_gpt(), batch(), loss=wrong))[:2]


def test_gradients_that_are_not_zeroed() -> None:
    model = small_gpt()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        loss(model, batch).backward()
        optimizer.step()

    found = causes(gg.examine(model, batch(), loss=loss, train_step=step, optimizer=optimizer))
    assert set(found) & {
        "gradients are not zeroed",
        "the gradient is a multiple of that of the mean loss",
    }, found


def test_an_optimizer_of_another_model() -> None:
    model = small_gpt()
    optimizer, step = with_step(small_gpt(1))
    found = gg.examine(model, batch(), loss=loss, train_step=step, optimizer=optimizer)
    assert causes(found)[0] == "the optimizer holds parameters of another model"


def test_nan_names_its_first_module() -> None:
    model = small_gpt()
    model.h[1].mlp.register_forward_hook(lambda module, args, out: out / 0)
    found = gg.examine(model, batch())
    assert found.problems[0].where == "h.1.mlp"


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (nn.Embedding(V, 8), torch.zeros(4, dtype=torch.int64), r"shape \(4,\)"),
        (nn.Embedding(V, 8), "text", "the batch is a str"),
        (nn.LSTM(4, 4), batch(), "the model fails on the batch"),
        (nn.Flatten(), batch(), "logits"),
    ],
)
def test_bad_input_is_refused(model: nn.Module, data: object, message: str) -> None:
    with pytest.raises(gg.UserError, match=message):
        gg.examine(model, data)


def test_what_could_not_run_is_said() -> None:
    found = gg.examine(nn.Embedding(V, V), batch())  # a bigram table
    assert found.skipped["the past"] == "the model has no attention"
    assert found.skipped["optimizer"] == "no optimizer was given"


def test_it_shows_itself() -> None:
    model = small_gpt()
    no_mask(model)
    found = gg.examine(model, batch())
    assert "a position sees the future" in str(found)
    shown, problem = found._repr_html_(), found.problems[0]
    assert all(line in unescape(shown) for each in found.problems for line in each.lines())
    assert unescape(problem._repr_html_()).startswith("<div") and problem.lines()[0] in repr(problem)
    assert found.to_dict()["findings"][0]["category"] == "mask"
    assert isinstance(model.h[0].attn, Attention)
