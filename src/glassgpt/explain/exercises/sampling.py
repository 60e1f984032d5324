"""Exercises of the chapter `sampling`."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

P = (0.2, 0.5, 0.3)
N_DRAWS = 20


def sample(p: Tensor, u: Tensor) -> Tensor:
    """Return the id of each u: the number of cumulative sums of p that u has reached. p (V,), u (N,)."""
    return (u[:, None] >= p.cumsum(0)).sum(1)


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    given = "[" + ", ".join(map(str, P)) + "]"
    return (
        NumberExercise(
            _("From p = {p}, two ids are drawn with replacement. How probable is the same id twice?").format(
                p=given
            ),
            right=lambda: sum(x * x for x in P),
            hint=_("id i comes twice with the probability p_i · p_i. Sum over all ids."),
            mistakes={
                _("that is the probability of two different ids."): lambda: 1 - sum(x * x for x in P),
                _("that holds for equal probabilities. Use p."): lambda: 1 / len(P),
            },
        ),
        NumberExercise(
            _(
                "From p = {p}, two ids are drawn without replacement. How probable is the order 1, 2 "
                "(counted from 0)?"
            ).format(p=given),
            right=lambda: P[1] * P[2] / (1 - P[1]),
            hint=_("p_1 for the first draw; for the second, p_2 divided by what is left, 1 − p_1."),
            mistakes={
                _("that is with replacement. Without id 1, the rest must sum to 1 again."): lambda: (
                    P[1] * P[2]
                ),
                _("that is the second draw alone. Multiply it by the probability of the first."): lambda: (
                    P[2] / (1 - P[1])
                ),
                _("that is both orders. Only 1, 2 was asked for."): lambda: (
                    P[1] * P[2] / (1 - P[1]) + P[2] * P[1] / (1 - P[2])
                ),
            },
        ),
        FunctionExercise(
            _(
                "Write `sample(p, u)` without `torch.multinomial`: turn random numbers u, uniform between 0 "
                "and 1, into ids with the probabilities p."
            ),
            "def sample(p, u):  # p: (V,), u: (N,); returns ids (N,)",
            right=sample,
            inputs=lambda generator: (
                torch.randn(6, generator=generator).softmax(0),
                torch.rand(N_DRAWS, generator=generator),
            ),
            hint=_("an id is the number of cumulative sums of p that u has reached: `p.cumsum(0)`."),
            mistakes={
                _("one too many: ids begin at 0."): lambda p, u: sample(p, u) + 1,
                _("compare u with the cumulative sums of p, not with p."): lambda p, u: (u[:, None] >= p).sum(
                    1
                ),
                _("the wrong way round: count the sums that u has reached, not the others."): lambda p, u: (
                    u[:, None] < p.cumsum(0)
                ).sum(1),
            },
        ),
    )
