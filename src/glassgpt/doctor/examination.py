"""Examine any language model: run every check that applies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from glassgpt.diagnose import Examination, Symptom
from glassgpt.doctor import (
    attention,
    batch_order,
    caching,
    devices,
    gains,
    layers,
    learning,
    objective,
    optimizing,
    order,
    padding,
    parts,
    precision,
    processes,
    rate,
    registration,
    sampling,
    slope,
    weights,
    wiring,
)
from glassgpt.doctor.checks import Check
from glassgpt.doctor.subject import LossFunction, Skip, Subject, TrainStep
from glassgpt.language import N_

CHECKS: tuple[Check, ...] = (
    wiring.FINITE,
    wiring.DETERMINISM,
    *registration.CHECKS[1:],
    *weights.CHECKS,
    parts.RESIDUAL,
    *layers.CHECKS,
    *parts.CHECKS[1:],
    registration.OUTPUTS,
    *precision.CHECKS,
    *attention.CHECKS,
    *wiring.CHECKS[2:],
    *order.CHECKS,
    *padding.CHECKS,
    objective.EXCHANGED,
    *gains.CHECKS,
    *objective.CHECKS,
    *learning.CHECKS[:3],
    *slope.CHECKS,
    *processes.CHECKS,
    *optimizing.CHECKS,
    *rate.CHECKS,
    *learning.CHECKS[3:],
    *caching.CHECKS,
    *sampling.CHECKS,
    *devices.CHECKS,
    *batch_order.CHECKS,
)
"""Every check, in the order in which its problems are named: causes before consequences."""


def examine(
    model: nn.Module,
    batch: Any,
    *,
    loss: LossFunction | None = None,
    train_step: TrainStep | None = None,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    batches: Sequence[Any] = (),
    causal: bool = True,
) -> Examination:
    """Examine a language model of any origin, and optionally its loss, optimizer and training step.

    model: takes tokens (B, T) and returns logits (B, T, V), an object with `logits`, or a tuple with them.
    batch: tokens (B, T), (tokens, targets), a dict with `input_ids`, or a `Batch`; a few rows are enough.
    loss: `loss(model, batch)`, a scalar tensor. train_step: `train_step(model, batch)`, one step of the
    optimizer, or of several. batches: the first batches of a training, in their order. causal: False for a
    model that may see all tokens. Weights, optimizers, modes and random states are afterwards as before.
    Under `torchrun`, every process must call it. Raises UserError for a batch or an output that cannot be
    used.

    >>> import torch, glassgpt
    >>> config = glassgpt.RunConfig.model_validate({"model": {"size": "micro"}}).model
    >>> model, batch = glassgpt.build(config, 65), torch.randint(0, 65, (4, 32))
    >>> glassgpt.examine(model, batch).is_serious  # doctest: +SKIP
    False
    """
    optimizers = (optimizer,) if isinstance(optimizer, Optimizer) else tuple(optimizer or ())
    return run_checks(Subject(model, batch, loss, train_step, optimizers, causal, batches), CHECKS)


def run_checks(subject: Subject, checks: Sequence[Check]) -> Examination:
    """Run checks in order; a model with NaN gets no further."""
    findings: list[Symptom] = []
    skipped: dict[str, str] = {}
    for check in checks:
        if check.last and any(each.is_serious for each in findings):
            skipped[check.name] = N_("the serious problems come first")
            continue
        try:
            findings += check.run(subject)
        except Skip as reason:
            skipped[check.name] = reason.args[0]
        if check is wiring.FINITE and findings and findings[-1].is_serious:
            break
    return Examination.of(findings, skipped, type(subject.model).__name__)
