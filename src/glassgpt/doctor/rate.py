"""Check of the learning rate: some of the user's own steps on one batch, at this rate and at others."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.probes import FunctionProbe
from glassgpt.doctor.subject import Skip, Subject, preserved
from glassgpt.language import N_

STEPS = 12
FACTOR = 8.0
HIGHER = (FACTOR, FACTOR**2, FACTOR**3)
RISE = 0.1
"""Rise of a batch's loss over steps on this batch alone that no noise explains, in nats."""
SLOW = 0.08
"""A rate is low if it gains less than this share of what a higher one gains."""
LEAST_GAIN = 0.05
"""Smallest gain of the higher rate that counts, as a share of the loss."""


def _rate(s: Subject) -> Iterator[Problem]:
    """Train on one batch at three rates: the loss of this batch must fall, and not much faster at others."""
    if s.train_step is None or not s.optimizers:
        raise Skip(N_("no training step or no optimizer was given"))
    if not any(group.get("lr") for each in s.optimizers for group in each.param_groups):
        raise Skip(N_("the optimizer has no learning rate"))
    before = _loss(s)
    low, given = (_after(s, factor) for factor in (1 / FACTOR, 1.0))
    if not given < before + RISE and low < before and low < given - RISE:
        yield Problem(
            "optimizer",
            N_("the learning rate is too high"),
            N_(
                "{n} steps on one batch took its loss from {before:.3f} to {after:.3f}; at an eighth of the "
                "rate to {low:.3f}",
                n=STEPS,
                before=before,
                after=given,
                low=low,
            ),
            N_("lower the learning rate"),
            cost=given - low if math.isfinite(given) else None,
            remedy="lower the rate",
        )
        return
    if not s.is_fresh or s.setting("ngram_order") or not s.parts.attentions:
        return  # of what was learned, a small step gains little; a table learns one batch at any high rate
    factor, high = _best_rate(s)
    if before - given < SLOW * (before - high) and before - high > LEAST_GAIN * before:
        yield Problem(
            "optimizer",
            N_("the learning rate is low"),
            N_(
                "{n} steps on one batch took its loss from {before:.3f} to {after:.3f}; at {factor:.0f} "
                "times the rate to {high:.3f}",
                n=STEPS,
                before=before,
                after=given,
                factor=factor,
                high=high,
            ),
            N_("raise the learning rate"),
            cost=given - high,
            outcome="warn",
            remedy="raise the rate",
        )


def _best_rate(s: Subject) -> tuple[float, float]:
    """Return the best of some higher rates, as a multiple, and the loss of the batch after its steps."""
    return min(((factor, _after(s, factor)) for factor in HIGHER), key=lambda each: each[1])


def _after(s: Subject, factor: float) -> float:
    """Return the loss of the batch after a few steps at a multiple of the rate; infinity if it is NaN."""
    assert s.train_step is not None
    with preserved(s.model, s.optimizers):
        kept = [(group, group["lr"]) for each in s.optimizers for group in each.param_groups if "lr" in group]
        for group, lr in kept:
            group["lr"] = lr * factor
        s.model.train()
        try:
            with FunctionProbe(keep=False, no_dropout=True):
                for _ in range(STEPS):
                    s.train_step(s.model, s.batch)
            loss = _loss(s)
        finally:
            for group, lr in kept:
                group["lr"] = lr
    return loss if math.isfinite(loss) else math.inf


@torch.no_grad()
def _loss(s: Subject) -> float:
    s.model.eval()
    return s.loss_value(s.data)


RATE = Check(
    N_("learning rate"),
    N_("steps on one batch lower its loss"),
    N_("a rate that is too high destroys, one that is too low wastes time"),
    _rate,
    last=True,
)
CHECKS = (RATE,)
