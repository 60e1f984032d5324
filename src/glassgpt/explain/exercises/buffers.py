"""Exercises of the chapter `buffers`."""

from __future__ import annotations

import torch

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

N_IN, N_OUT, T = 8, 4, 16
CHANNELS = 4
MOMENTUM = 0.1


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _(
                "A module has `nn.Linear({n_in}, {n_out})` with a bias and a mask ({T}, {T}), registered as "
                "a buffer. How many numbers does the optimizer train?"
            ).format(n_in=N_IN, n_out=N_OUT, T=T),
            right=lambda: N_IN * N_OUT + N_OUT,
            hint=_("the optimizer gets the parameters: the weight and the bias."),
            mistakes={
                _("a buffer is not trained: leave the mask out."): lambda: N_IN * N_OUT + N_OUT + T * T,
                _("the bias is a parameter, too."): lambda: N_IN * N_OUT,
                _("that is the mask, which is not trained."): lambda: T * T,
            },
        ),
        NumberExercise(
            _(
                "`nn.BatchNorm1d({n})` has a weight, a bias, a running mean, a running variance, and a "
                "counter of batches. How many numbers are saved?"
            ).format(n=CHANNELS),
            right=lambda: 4 * CHANNELS + 1,
            hint=_("parameters and persistent buffers are saved: four of size n, and the counter."),
            mistakes={
                _("those are the parameters. The statistics are saved, too."): lambda: 2 * CHANNELS,
                _("almost: the counter is a buffer, too, of one number."): lambda: 4 * CHANNELS,
                _("those are the buffers. The parameters are saved, too."): lambda: 2 * CHANNELS + 1,
            },
        ),
        FunctionExercise(
            _(
                "Write `update(mean, x)`: the running mean of BatchNorm after a batch, with the momentum "
                "{m}. It moves by this share towards the mean of the batch."
            ).format(m=MOMENTUM),
            "def update(mean, x):  # mean: (C,), x: (B, C); returns (C,)",
            right=lambda mean, x: (1 - MOMENTUM) * mean + MOMENTUM * x.mean(0),
            inputs=lambda generator: (
                torch.randn(CHANNELS, generator=generator),
                torch.randn(10, CHANNELS, generator=generator),
            ),
            hint=_("`(1 - m) * mean + m * x.mean(0)`."),
            mistakes={
                _("the wrong way round: the old mean keeps the larger share."): lambda mean, x: (
                    MOMENTUM * mean + (1 - MOMENTUM) * x.mean(0)
                ),
                _("that forgets the old mean."): lambda mean, x: x.mean(0),
                _("take the mean over the batch, not the sum."): lambda mean, x: (
                    (1 - MOMENTUM) * mean + MOMENTUM * x.sum(0)
                ),
                _("the old mean must shrink, too: multiply it by 1 − m."): lambda mean, x: (
                    mean + MOMENTUM * x.mean(0)
                ),
            },
        ),
    )
