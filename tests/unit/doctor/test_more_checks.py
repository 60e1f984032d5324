"""Each further check of the doctor: it names a planted fault, and is silent without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import glassgpt as gg
from glassgpt.config import ModelConfig
from glassgpt.data import Batch
from glassgpt.doctor import Subject
from glassgpt.doctor.attention import ROWS as SUMS
from glassgpt.doctor.batch_order import ORDER, REPEATED
from glassgpt.doctor.caching import SAVED
from glassgpt.doctor.checks import Check
from glassgpt.doctor.devices import REFERENCE
from glassgpt.doctor.learning import GRADIENTS, ROWS
from glassgpt.doctor.objective import AVERAGE, VALUE
from glassgpt.doctor.optimizing import GROUPS, STEP
from glassgpt.doctor.order import CAUSALITY
from glassgpt.doctor.padding import PADDING
from glassgpt.doctor.parts import LINEAR
from glassgpt.doctor.precision import PRECISION
from glassgpt.doctor.rate import RATE
from glassgpt.doctor.registration import CHECKS as MADE
from glassgpt.doctor.registration import LEAVES, OUTPUTS, TABLE
from glassgpt.doctor.sampling import SAMPLING
from glassgpt.doctor.slope import SLOPE
from glassgpt.doctor.wiring import FINITE, FINITE_GRADIENTS
from helpers.small_gpt import SmallGPT

V = 65


def tokens(rows: int = 4, length: int = 25, seed: int = 0) -> Tensor:
    return torch.randint(0, V, (rows, length), generator=torch.Generator().manual_seed(seed))


def pair(seed: int = 0) -> tuple[Tensor, Tensor]:
    drawn = tokens(seed=seed)
    return drawn[:, :-1], drawn[:, 1:]


def small_gpt() -> SmallGPT:
    torch.manual_seed(0)
    return SmallGPT(V)


def causes(check: Check, subject: Subject) -> list[str]:
    return [each.cause for each in check.run(subject) if not each.is_healthy]


def loss(model: nn.Module, batch: Any) -> Tensor:
    return model(*batch)[1]


def smoothed(share: float, factor: float = 1.0) -> Callable[..., Tensor]:
    def function(model: nn.Module, batch: Any) -> Tensor:
        logits = model(*batch)[0].flatten(0, 1)
        return factor * F.cross_entropy(logits, batch[1].flatten(), label_smoothing=share)

    return function


def test_label_smoothing_is_no_fault() -> None:
    model = small_gpt()
    model.lm_head.weight.data.mul_(10)  # else smoothing changes nothing yet
    for check in (AVERAGE, VALUE):
        assert causes(check, Subject(model, pair(), smoothed(0.1))) == []
    assert causes(VALUE, Subject(model, pair(), smoothed(0.1, factor=1.5)))


def test_a_wrong_backward_pass_is_named() -> None:
    model = small_gpt()
    assert causes(SLOPE, Subject(model, pair())) == []
    model.h[0].mlp.register_forward_hook(lambda module, args, out: out + (out - out.detach()))
    assert causes(SLOPE, Subject(model, pair())) == ["the gradient is not the slope of the loss"]


class Ruined(nn.Module):
    """A square root whose gradient at zero is infinite."""

    def forward(self, x: Tensor) -> Tensor:
        return x + (0 * x).square().sum(-1, keepdim=True).sqrt() * x


def test_an_infinite_gradient_names_its_module() -> None:
    model = small_gpt()
    assert causes(FINITE_GRADIENTS, Subject(model, pair())) == []
    model.h[1].mlp = nn.Sequential(model.h[1].mlp, Ruined())
    (found,) = [each for each in FINITE_GRADIENTS.run(Subject(model, pair())) if not each.is_healthy]
    assert found.cause == "a gradient is not finite" and found.where == "h.1.mlp.1"


def test_nan_names_its_operation() -> None:
    model = small_gpt()
    model.h[1].mlp.register_forward_hook(lambda module, args, out: torch.log(-out.abs()))
    (found,) = FINITE.run(Subject(model, pair()))
    assert "log" in str(found.observed)


def trained_step(rate: float) -> tuple[SmallGPT, Callable[..., None], torch.optim.Optimizer]:
    model = small_gpt()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)

    def step(model: nn.Module, batch: Any) -> None:
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()

    return model, step, optimizer


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (3e-3, []),
        (1e-3, []),
        (1.0, ["the learning rate is too high"]),
        (3e-6, ["the learning rate is low"]),
    ],
)
def test_the_rate(rate: float, expected: list[str]) -> None:
    model, step, optimizer = trained_step(rate)
    assert causes(RATE, Subject(model, pair(), loss, step, (optimizer,))) == expected


class Generating(SmallGPT):
    """A model with a loop like nanoGPT's, which takes the token of rank `at` among the most likely ones."""

    at = 0

    @torch.no_grad()
    def generate(self, idx: Tensor, max_new_tokens: int, top_k: int | None = None) -> Tensor:
        for _ in range(max_new_tokens):
            logits = self(idx)
            row = (logits[0] if isinstance(logits, tuple) else logits)[:, -1]
            idx = torch.cat([idx, row.argsort(descending=True)[:, self.at : self.at + 1]], 1)
        return idx


@pytest.mark.parametrize(("at", "is_wrong"), [(0, False), (3, True)])
def test_generated_tokens(at: int, is_wrong: bool) -> None:
    torch.manual_seed(0)
    model = Generating(V)
    model.at = at
    assert bool(causes(SAMPLING, Subject(model, pair()))) == is_wrong


def test_the_engine_samples_what_the_model_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = gg.build(ModelConfig(n_layer=1, n_head=2, n_embd=16, block_size=32, init="gpt2"), V)
    assert causes(SAMPLING, Subject(model, pair())) == []
    stream = gg.Engine.stream

    def wrong(engine: gg.Engine, request: gg.Request) -> Any:
        return stream(engine, gg.Request([1, *request.prompt[1:-1], 2], max_new_tokens=8, seed=1, logprobs=0))

    monkeypatch.setattr(gg.Engine, "stream", wrong)
    assert causes(SAMPLING, Subject(model, pair()))


@pytest.mark.parametrize("family", ["encoder", "seq2seq"])
def test_padding(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    config = {"family": family, "n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 64, "init": "gpt2"}
    model = gg.build(ModelConfig.model_validate(config), V)
    batch = Batch(*pair(), tokens(length=9) if family == "seq2seq" else None)
    subject = Subject(model, batch, causal=family != "encoder")
    assert causes(PADDING, subject) == []
    predict = model.predict

    def padding_is_a_token(tokens: Tensor, source: Tensor | None, source_of: Tensor | None) -> Tensor:
        return predict(tokens.clamp(min=0), None if source is None else source.clamp(min=0), source_of)

    monkeypatch.setattr(model, "predict", padding_is_a_token)
    assert causes(PADDING, subject) == ["padding moves the logits"]


def windows(starts: list[list[int]]) -> list[tuple[Tensor, Tensor]]:
    text = tokens(1, 2000, seed=3)[0]
    rows = [torch.stack([text[at : at + 17] for at in each]) for each in starts]
    return [(each[:, :-1], each[:, 1:]) for each in rows]


@pytest.mark.parametrize(
    ("starts", "check", "cause"),
    [
        ([[16 * (i * 4 + j) for j in range(4)] for i in range(8)], ORDER, "the rows are not shuffled"),
        ([[500 * j + 16 * i for j in range(4)] for i in range(8)], ORDER, "the rows are not shuffled"),
        ([[7, 50, 90, 3]] * 8, REPEATED, "a batch comes twice"),
        ([[16 * i] * 4 for i in range(8)], REPEATED, "all rows of a batch are equal"),
    ],
)
def test_the_order_of_batches(starts: list[list[int]], check: Check, cause: str) -> None:
    model = small_gpt()
    generator = torch.Generator().manual_seed(1)
    drawn = (16 * torch.randperm(120, generator=generator))[:32].view(8, 4).tolist()
    for each in (ORDER, REPEATED):
        assert causes(each, Subject(model, pair(), batches=windows(drawn))) == []
    assert causes(check, Subject(model, pair(), batches=windows(starts))) == [cause]


def test_low_precision_is_compared_with_float32() -> None:
    model = small_gpt().bfloat16()
    assert causes(REFERENCE, Subject(model, pair())) == []
    model.h[0].mlp.register_forward_hook(
        lambda module, args, out: out if out.dtype == torch.float32 else out.flip(-1)
    )
    (found,) = [each for each in REFERENCE.run(Subject(model, pair())) if not each.is_healthy]
    assert found.where == "h.0.mlp"


def with_sgd(model: nn.Module, **given: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), **{"lr": 1e-3, **given})


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({}, ""),
        ({"maximize": True}, "the step goes uphill"),
        ({"lr": 1e-8}, "the step is too small"),
        ({"weight_decay": 100.0}, "the step shrinks the weights"),
    ],
)
def test_a_step_moves_downhill(settings: dict[str, Any], cause: str) -> None:
    model = small_gpt()
    optimizer = with_sgd(model, **settings)

    def step(model: nn.Module, batch: Any) -> None:
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()

    assert ([*causes(STEP, Subject(model, pair(), loss, step, (optimizer,))), ""])[0] == cause


def one_row(batch: Any) -> Any:
    return tuple(part[:1] for part in batch)


@pytest.mark.parametrize(
    ("part", "lost", "cause"),
    [
        (one_row, "", "the step uses a part of the batch"),
        (lambda batch: batch, "h.0.mlp.c_fc.weight", "the gradient is not that of the loss"),
    ],
)
def test_a_step_follows_the_whole_gradient(part: Callable[..., Any], lost: str, cause: str) -> None:
    model = small_gpt()
    optimizer = with_sgd(model)

    def step(model: nn.Module, batch: Any) -> None:
        optimizer.zero_grad()
        loss(model, part(batch)).backward()
        if lost:
            gradient = model.get_parameter(lost).grad
            assert gradient is not None
            gradient.copy_(gradient.flip(0))
        optimizer.step()

    assert causes(STEP, Subject(model, pair(), loss, step, (optimizer,))) == [cause]


def test_what_a_model_is_made_of() -> None:
    assert [cause for check in MADE for cause in causes(check, Subject(small_gpt(), pair()))] == []
    model = small_gpt()
    model.h[1] = model.h[0]
    assert causes(LEAVES, Subject(model, pair())) == ["layers share their weights"]
    model, hidden = small_gpt(), torch.zeros(32, requires_grad=True)
    model.ln_f.register_forward_hook(lambda module, args, out: out + hidden)
    assert causes(LEAVES, Subject(model, pair())) == ["weights are not registered"]
    model = small_gpt()
    model.wte.register_forward_pre_hook(lambda module, args: (args[0].clamp(max=30),))
    assert causes(TABLE, Subject(model, pair())) == ["tokens share a vector"]
    model = small_gpt()
    model.lm_head = nn.Linear(32, V, bias=False)  # a tied head would give every row a gradient
    model.wte.padding_idx = 5
    batch = pair()
    batch[0][0, :4] = 5
    assert causes(ROWS, Subject(model, batch)) == ["rows get no gradient"]


def test_the_shape_of_the_mlp() -> None:
    model = small_gpt()
    assert causes(LINEAR, Subject(model, pair())) == []
    model.h[0].mlp = nn.Linear(32, 32)
    assert causes(LINEAR, Subject(model, pair())) == ["the MLP is linear"]
    model = small_gpt()
    model.h[0].mlp.register_forward_hook(lambda module, args, out: out.relu())
    assert causes(LINEAR, Subject(model, pair())) == ["the MLP's output is never negative"]


def test_the_logits() -> None:
    model = small_gpt()
    assert causes(OUTPUTS, Subject(model, pair())) == []
    model.register_forward_hook(lambda module, args, out: (out[0].softmax(-1), out[1]))
    assert causes(OUTPUTS, Subject(model, pair())) == ["the logits are probabilities"]


def test_the_future_in_training_mode_only() -> None:
    model = small_gpt()
    for block in model.h:
        attention, masked = block.attn, block.attn.masked
        attention.masked = lambda scores, a=attention, m=masked: scores if a.training else m(scores)
    assert causes(CAUSALITY, Subject(model, pair())) == ["a position sees the future"]


def test_padding_that_the_model_sees() -> None:
    model, ids = small_gpt(), tokens()
    mask = torch.ones_like(ids)
    mask[0, :5] = 0
    batch = {"input_ids": ids, "attention_mask": mask}
    assert causes(PADDING, Subject(model, batch)) == ["padding is seen"]


def test_weights_that_cannot_be_loaded() -> None:
    model = small_gpt()
    assert causes(SAVED, Subject(model, pair())) == []

    def lose(module: nn.Module, state: dict[str, Tensor], *_: object) -> None:
        del state["ln_f.weight"]

    model.register_state_dict_post_hook(lose)
    assert causes(SAVED, Subject(model, pair())) == ["saved weights cannot be loaded"]


def averaged_back(model: nn.Module, optimizer: torch.optim.Optimizer, taken: Tensor) -> None:
    kept = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    for p, before in zip(model.parameters(), kept, strict=True):
        p.data.lerp_(before, 0.99)


def stepped_twice(model: nn.Module, optimizer: torch.optim.Optimizer, taken: Tensor) -> None:
    optimizer.step()
    optimizer.step()


def evaluated(model: nn.Module, optimizer: torch.optim.Optimizer, taken: Tensor) -> None:
    model.eval()
    optimizer.zero_grad()
    loss(model, pair()).backward()
    optimizer.step()


@pytest.mark.parametrize(
    ("step", "cause"),
    [
        (averaged_back, "the step is taken back"),
        (stepped_twice, "several steps are taken in one"),
        (evaluated, "training runs in evaluation mode"),
    ],
)
def test_the_protocol_of_a_step(step: Callable[..., None], cause: str) -> None:
    model = small_gpt()
    model.config = ModelConfig(dropout=0.2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def train_step(model: nn.Module, batch: Any, finish: Callable[..., None] | None = step) -> None:
        if finish is not evaluated:
            optimizer.zero_grad()
            loss(model, batch).backward()
        finish(model, optimizer, batch) if finish else optimizer.step()

    def healthy(model: nn.Module, batch: Any) -> None:
        train_step(model, batch, None)

    subject = Subject(model, pair(), loss, train_step, (optimizer,))
    assert cause in causes(STEP, subject)
    assert causes(STEP, Subject(model, pair(), loss, healthy, (optimizer,))) == []


def test_averages_of_adam_in_each_others_place() -> None:
    model = small_gpt()
    for betas, expected in (((0.9, 0.99), []), ((0.99, 0.9), ["the averages are exchanged"])):
        optimizer = torch.optim.AdamW(model.parameters(), betas=betas)
        assert causes(GROUPS, Subject(model, pair(), optimizers=(optimizer,))) == expected


def test_a_stream_of_few_values() -> None:
    model = small_gpt()
    assert causes(PRECISION, Subject(model, pair())) == []
    model.h[0].register_forward_hook(lambda _, args, output: (output * 8).round() / 8)
    assert causes(PRECISION, Subject(model, pair())) == ["values are rounded to a few"]


def test_an_attention_without_a_softmax() -> None:
    model = small_gpt()

    def forward(self: Any, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = (part.view(B, T, 2, -1).transpose(1, 2) for part in self.c_attn(x).split(C, dim=2))
        scores = (q @ k.mT * self.scale(q)).masked_fill(~self.mask[:T, :T], 0.0)
        return self.c_proj((scores @ v).transpose(1, 2).reshape(B, T, C))

    for block in model.h:
        block.attn.forward = forward.__get__(block.attn)
    assert causes(SUMS, Subject(model, pair())) == ["weights do not sum to 1"]


def test_a_block_that_is_not_used() -> None:
    model = small_gpt()
    kept: list[Tensor] = []
    model.h[0].register_forward_hook(lambda _, args, output: kept.append(output))
    model.ln_f.register_forward_pre_hook(lambda _, args: (kept.pop(),))
    (found,) = [each for each in GRADIENTS.run(Subject(model, pair())) if not each.is_healthy]
    assert found.category == "residual"
