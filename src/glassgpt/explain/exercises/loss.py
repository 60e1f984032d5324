"""Exercises of the chapter `loss`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

P = 0.9


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _("A model gives the right token the probability {p}. How large is its loss, in nats?").format(
                p=P
            ),
            right=lambda: -math.log(P),
            hint=_("the loss is −ln p. Python: `-math.log(p)`."),
            mistakes={
                _("that is in bits. In nats, take the natural logarithm."): lambda: -math.log2(P),
                _("a loss is not negative: it is −ln p."): lambda: math.log(P),
                _("that is the probability of the other tokens; the loss is −ln p."): lambda: 1 - P,
            },
        ),
        FunctionExercise(
            _(
                "Write `cross_entropy(z, y)` without `F.cross_entropy`: the mean loss of N predictions with "
                "the logits z for the right tokens y."
            ),
            "def cross_entropy(z, y):  # z: (N, V), y: (N,)",
            right=F.cross_entropy,
            inputs=lambda generator: (
                3 * torch.randn(8, 65, generator=generator),
                torch.randint(65, (8,), generator=generator),
            ),
            hint=_("each loss is ln Σ exp(z) minus the logit of the right token: `z[range(N), y]`."),
            mistakes={
                _("that is the sum of the losses. Take their mean."): lambda z, y: F.cross_entropy(
                    z, y, reduction="sum"
                ),
                _("the sign is wrong: the loss is −ln p."): lambda z, y: -F.cross_entropy(z, y),
                _("that is in bits. `torch.log` gives nats."): lambda z, y: (
                    F.cross_entropy(z, y) / math.log(2)
                ),
                _("that is the mean probability. Take −ln of each, then the mean."): lambda z, y: (
                    z.softmax(-1).gather(1, y[:, None]).mean()
                ),
            },
        ),
    )
