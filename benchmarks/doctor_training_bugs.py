"""Planted bugs, the second set, in losses and training steps: units, signs, batches, optimizers, adapters.

Written after the checks, from what people get wrong, of kinds that the first set does not have.
"""

# Bugs change models in ways that types forbid.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false, reportOptionalCall=false
# pyright: reportOptionalMemberAccess=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from doctor_cases import ALL_KINDS, Bug, Case, V, batch_of, bugs_into, cross_entropy, with_loss
from doctor_issues import Adapted
from glassgpt.data import IGNORE

TRAINING_BUGS: list[Bug] = []
bug = bugs_into(TRAINING_BUGS)
Loss = Callable[[nn.Module, Any], Tensor]


def with_step(c: Case, step: Callable[[nn.Module, Any, Loss, torch.optim.Optimizer], None]) -> None:
    c.make_step = lambda loss, optimizer: lambda model, batch: step(model, batch, loss, optimizer)


def learning(c: Case) -> list[nn.Parameter]:
    return [p for p in c.model.parameters() if p.requires_grad]


# Objective


@bug("objective", kinds=("transformers", "llama"))
def labels_are_shifted_twice(c: Case) -> None:
    """The data pipeline gives next tokens as labels, and the model shifts once more."""
    c.loss = lambda model, batch: model(batch[0], labels=batch[1]).loss


@bug("objective", kinds=("transformers", "llama"))
def padding_counts_in_the_loss(c: Case) -> None:
    tokens = batch_of(0)[0].clone()
    tokens[:, -16:] = 0
    labels = tokens.clone()
    labels[:, -16:] = IGNORE
    c.batch = {"input_ids": tokens, "labels": labels}
    c.loss = lambda model, batch: model(batch["input_ids"], labels=batch["input_ids"]).loss


@bug("objective", kinds=("transformers", "llama", "plain"))
def a_letter_is_ignored_as_padding(c: Case) -> None:
    def compute(z: Tensor, x: Tensor, y: Tensor) -> Tensor:
        often = int(x.flatten().bincount().argmax())
        return cross_entropy(z, y.masked_fill(y == often, IGNORE))

    with_loss(c, compute)


@bug("objective", kinds=("plain", "glassgpt"))
def time_and_batch_are_mixed_up(c: Case) -> None:
    with_loss(
        c,
        lambda z, x, y: F.cross_entropy(z.transpose(0, 1).reshape(-1, V), y.flatten(), ignore_index=IGNORE),
    )


@bug("objective", kinds=("plain", "llama"))
def sum_over_time_mean_over_rows(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z, y, reduction="sum") / len(y))


@bug("objective", kinds=("plain", "llama"))
def label_smoothing_of_nine_tenths(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z, y, label_smoothing=0.9))


@bug("objective", kinds=("plain", "llama"))
def only_the_first_half_counts(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z[:, :24], y[:, :24]))


@bug("objective", kinds=("plain", "glassgpt"))
def log_of_softmax_of_softmax(c: Case) -> None:
    with_loss(
        c,
        lambda z, x, y: F.nll_loss(
            z.softmax(-1).log_softmax(-1).flatten(0, 1), y.flatten(), ignore_index=IGNORE
        ),
    )


@bug("objective", kinds=("plain", "llama"))
def likelihood_without_logarithm(c: Case) -> None:
    with_loss(
        c,
        lambda z, x, y: F.nll_loss(z.softmax(-1).flatten(0, 1), y.flatten(), ignore_index=IGNORE),
    )


@bug("objective", "optimizer", kinds=("plain", "llama"))
def loss_has_the_wrong_sign(c: Case) -> None:
    with_loss(c, lambda z, x, y: -cross_entropy(z, y))


@bug("objective", kinds=("plain", "glassgpt"))
def squared_error_of_one_hot(c: Case) -> None:
    with_loss(
        c,
        lambda z, x, y: F.mse_loss(z.softmax(-1), F.one_hot(y.clamp(min=0), V).float()) * V,
    )


@bug("objective", "output", kinds=("plain", "llama"))
def temperature_of_sampling_in_the_loss(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z / 10, y))


@bug("objective", kinds=("plain", "llama"))
def targets_are_shuffled_within_the_batch(c: Case) -> None:
    with_loss(c, lambda z, x, y: cross_entropy(z, y[torch.arange(len(y)).flip(0)]))


@bug("objective", kinds=("plain", "llama"))
def frequent_tokens_weigh_more(c: Case) -> None:
    weight = torch.linspace(0.1, 2.0, V)
    with_loss(c, lambda z, x, y: cross_entropy(z, y, weight=weight))


# Optimizer


@bug("optimizer", kinds=ALL_KINDS)
def learning_rate_in_percent(c: Case) -> None:
    """0.1 where 0.001 was meant."""
    c.lr = 0.1


@bug("optimizer", kinds=ALL_KINDS)
def learning_rate_in_millionths_of_millionths(c: Case) -> None:
    c.lr = 1e-12


@bug("optimizer", kinds=("plain", "llama", "glassgpt"))
def betas_are_exchanged(c: Case) -> None:
    c.optimizer = torch.optim.AdamW(learning(c), lr=c.lr, betas=(0.999, 0.1))


@bug("optimizer", kinds=("plain", "llama", "glassgpt"))
def epsilon_of_adam_is_one(c: Case) -> None:
    c.optimizer = torch.optim.AdamW(learning(c), lr=c.lr, eps=1.0)


@bug("optimizer", kinds=("plain", "llama", "glassgpt"))
def weight_decay_of_a_hundred(c: Case) -> None:
    c.optimizer = torch.optim.AdamW(learning(c), lr=c.lr, weight_decay=100.0)


@bug("optimizer", kinds=("plain", "llama"))
def optimizer_climbs(c: Case) -> None:
    c.optimizer = torch.optim.AdamW(learning(c), lr=c.lr, maximize=True)


@bug("optimizer", kinds=("plain", "llama", "glassgpt"))
def head_was_replaced_after_the_optimizer(c: Case) -> None:
    c.optimizer = torch.optim.AdamW(learning(c), lr=c.lr)
    head = nn.Linear(32, V, bias=False)
    nn.init.normal_(head.weight, std=0.02)
    c.model.lm_head = head


@bug("optimizer", kinds=("plain", "llama"))
def only_matrices_are_in_the_optimizer(c: Case) -> None:
    c.optimizer = torch.optim.AdamW([p for p in learning(c) if p.ndim > 1], lr=c.lr)


@bug("optimizer", kinds=("llama",))
def a_group_without_learning_rate(c: Case) -> None:
    blocks = [p for block in c.blocks for p in block.parameters()]
    known = {id(p) for p in blocks}
    rest = [p for p in learning(c) if id(p) not in known]
    c.optimizer = torch.optim.AdamW([{"params": rest, "lr": 1e-3}, {"params": blocks, "lr": 0.0}])


# Training step


@bug("optimizer", kinds=("plain", "llama"))
def a_new_optimizer_every_step(c: Case) -> None:
    def step(model: nn.Module, batch: Any, loss: Loss, _: Any) -> None:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()

    with_step(c, step)


@bug("optimizer", kinds=("plain", "llama", "glassgpt"))
def scaled_loss_is_not_unscaled(c: Case) -> None:
    def step(model: nn.Module, batch: Any, loss: Loss, optimizer: Any) -> None:
        optimizer.zero_grad()
        (1024 * loss(model, batch)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e6)
        optimizer.step()

    with_step(c, step)


@bug("optimizer", kinds=("plain", "llama"))
def gradients_are_clipped_to_a_sign(c: Case) -> None:
    """clip_grad_value_ of 1e-6 where a norm was meant: all that is left is the sign."""

    def step(model: nn.Module, batch: Any, loss: Loss, optimizer: Any) -> None:
        optimizer.zero_grad()
        loss(model, batch).backward()
        nn.utils.clip_grad_value_(model.parameters(), 1e-6)
        optimizer.step()

    with_step(c, step)


@bug("optimizer", "objective", kinds=("plain", "llama", "transformers"))
def only_the_last_micro_batch_counts(c: Case) -> None:
    """zero_grad() inside the loop of accumulation."""

    def step(model: nn.Module, batch: Any, loss: Loss, optimizer: Any) -> None:
        for i in range(4):
            optimizer.zero_grad()
            part = tuple(x[2 * i : 2 * i + 2] for x in batch)
            (loss(model, part) / 4).backward()
        optimizer.step()

    with_step(c, step)


@bug("optimizer", "objective", kinds=("plain", "llama"))
def four_steps_in_one(c: Case) -> None:
    """step() inside the loop of accumulation, with gradients that pile up."""

    def step(model: nn.Module, batch: Any, loss: Loss, optimizer: Any) -> None:
        optimizer.zero_grad()
        for i in range(4):
            part = tuple(x[2 * i : 2 * i + 2] for x in batch)
            (loss(model, part) / 4).backward()
            optimizer.step()

    with_step(c, step)


@bug("optimizer", "learning", "dropout", kinds=("llama",))
def training_stays_in_evaluation_mode(c: Case) -> None:
    """eval() for the validation, and never train() again: dropout is stated and never used."""
    c.model.config.attention_dropout = 0.2

    def step(model: nn.Module, batch: Any, loss: Loss, optimizer: Any) -> None:
        model.eval()
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()

    with_step(c, step)


@bug("optimizer", "objective", kinds=("plain", "llama"))
def inputs_are_overwritten_by_noise(c: Case) -> None:
    def step(model: nn.Module, batch: Any, loss: Loss, optimizer: Any) -> None:
        optimizer.zero_grad()
        loss(model, (torch.randint_like(batch[0], V), batch[1])).backward()
        optimizer.step()

    with_step(c, step)


@bug("optimizer", "objective", kinds=("plain", "llama"))
def the_first_batch_for_ever(c: Case) -> None:
    """next(iter(loader)) before the loop."""

    def step(model: nn.Module, batch: Any, loss: Loss, optimizer: Any) -> None:
        optimizer.zero_grad()
        loss(model, batch_of(77)).backward()
        optimizer.step()

    with_step(c, step)


@bug("optimizer", "numerics", kinds=("plain", "llama"))
def updates_vanish_in_bfloat16(c: Case) -> None:
    """Weights in bfloat16 and a small rate: the steps are rounded away."""
    c.model.to(torch.bfloat16)
    with_loss(c, lambda z, x, y: cross_entropy(z.float(), y))
    c.optimizer = torch.optim.SGD(learning(c), lr=1e-5)


@bug("optimizer", kinds=("plain", "llama"))
def weights_are_averaged_back(c: Case) -> None:
    """The average of the weights is copied into the model after every step, with a decay of 0.9999."""
    average = [p.detach().clone() for p in c.model.parameters()]

    def step(model: nn.Module, batch: Any, loss: Loss, optimizer: Any) -> None:
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()
        with torch.no_grad():
            for p, mean in zip(model.parameters(), average, strict=True):
                mean.lerp_(p, 1e-4)
                p.copy_(mean)

    with_step(c, step)


@bug("optimizer", "objective", kinds=("plain", "llama"))
def gradient_penalty_of_the_wrong_sign(c: Case) -> None:
    """An L2 term is subtracted: the weights are driven apart."""

    def step(model: nn.Module, batch: Any, loss: Loss, optimizer: Any) -> None:
        optimizer.zero_grad()
        penalty = sum(p.square().sum() for p in model.parameters())
        (loss(model, batch) - penalty).backward()
        optimizer.step()

    with_step(c, step)


# Adapters


def adapted(c: Case) -> list[Adapted]:
    c.model.requires_grad_(False)
    for mlp in c.mlp:
        mlp.up_proj, mlp.down_proj = Adapted(mlp.up_proj, 4), Adapted(mlp.down_proj, 4)
    return [part for mlp in c.mlp for part in (mlp.up_proj, mlp.down_proj)]


@bug("optimizer", kinds=("llama",))
def adapters_are_not_in_the_optimizer(c: Case) -> None:
    adapted(c)
    c.optimizer = torch.optim.AdamW(c.wte.parameters(), lr=c.lr)


@bug("mlp", "learning", "projections", "optimizer", kinds=("llama",))
def both_adapter_matrices_are_zero(c: Case) -> None:
    for part in adapted(c):
        part.lora_a.data.zero_()


@bug("optimizer", "learning", kinds=("llama",))
def base_weights_learn_beside_adapters(c: Case) -> None:
    """Frozen by requires_grad, but the step moves them: weight decay by hand over all parameters."""
    adapted(c)

    def step(model: nn.Module, batch: Any, loss: Loss, optimizer: Any) -> None:
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(0.999)

    with_step(c, step)
