"""Exercises of the chapter `temperature`."""

from __future__ import annotations

import torch

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

LOGITS = (0.1, 0.7, 0.2)
T = 0.5
RATIO = 4


def largest(factor: float) -> float:
    """Return the probability of token 1 for the logits times a factor."""
    return (torch.tensor(LOGITS, dtype=torch.float64) * factor).softmax(0)[1].item()


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _("The logits are {z}. How probable is token 1 (counted from 0) at T = {T}?").format(
                z="[" + ", ".join(map(str, LOGITS)) + "]", T=T
            ),
            right=lambda: largest(1 / T),
            hint=_("divide each logit by T, take exp, and divide by the sum of all three."),
            mistakes={
                _("that is T = 1: the logits were not divided."): lambda: largest(1),
                _("the logits are divided by T, not multiplied."): lambda: largest(T),
                _("T divides the logits, before the softmax; not the probability."): lambda: largest(1) / T,
            },
        ),
        NumberExercise(
            _(
                "At T = 1 a token is {ratio} times as probable as another. How many times as probable is it "
                "at T = {T}?"
            ).format(ratio=RATIO, T=T),
            right=lambda: RATIO ** (1 / T),
            hint=_("the ratio is exp((z₁ − z₂) / T): the ratio at T = 1 to the power 1/T."),
            mistakes={
                _("1/T is an exponent, not a factor."): lambda: RATIO / T,
                _("that is flatter, as for T above 1. The exponent is 1/T, not T."): lambda: RATIO**T,
            },
        ),
        FunctionExercise(
            _("Write `probabilities(z, T)`: the softmax over the last dimension at the temperature T."),
            "def probabilities(z, T):  # z: (N, V), T: a number; returns (N, V)",
            right=lambda z, T: (z / T).softmax(-1),
            inputs=lambda generator: (
                torch.randn(4, 7, generator=generator),
                0.3 + torch.rand((), generator=generator).item() / 2,
            ),
            hint=_("`(z / T).softmax(-1)`, or exp and a division by the sum of each row."),
            mistakes={
                _("the logits are divided by T, not multiplied."): lambda z, T: (z * T).softmax(-1),
                _("T divides the logits, before the softmax; not the probability."): lambda z, T: (
                    z.softmax(-1) / T
                ),
                _("the softmax goes over the last dimension: each row sums to 1."): lambda z, T: (
                    z / T
                ).softmax(0),
                _("that is T = 1: the logits were not divided."): lambda z, T: z.softmax(-1),
            },
        ),
    )
