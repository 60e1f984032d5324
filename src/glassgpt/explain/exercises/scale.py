"""Exercises of the chapter `scale`."""

from __future__ import annotations

import torch

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

D = 64
VARIANCE, SMALL_D = 4, 16


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _(
                "The components of q and k are independent, of mean 0 and variance 1; the head size is {D}. "
                "How large is the standard deviation of q · k?"
            ).format(D=D),
            right=lambda: D**0.5,
            hint=_("the variance is d, and the standard deviation its root."),
            mistakes={
                _("that is the variance. The standard deviation is its root."): lambda: D,
                _("that is after the division by √d."): lambda: 1,
            },
        ),
        NumberExercise(
            _(
                "The components of q have the variance {variance}, those of k 1, all independent and of mean "
                "0; the head size is {D}. How large is the variance of q · k / √d?"
            ).format(variance=VARIANCE, D=SMALL_D),
            right=lambda: VARIANCE,
            hint=_(
                "one product has the variance E[q²] E[k²]. The sum has d times that; / √d divides it by d."
            ),
            mistakes={
                _("that is the variance of q · k, before the division."): lambda: VARIANCE * SMALL_D,
                _("division by √d divides a variance by d, not by √d."): lambda: VARIANCE * SMALL_D**0.5,
                _("that would hold if q had variance 1."): lambda: 1,
                _("that is the standard deviation."): lambda: VARIANCE**0.5,
            },
        ),
        FunctionExercise(
            _("Write `attention_weights(q, k)`: the softmax of the scaled scores, each row summing to 1."),
            "def attention_weights(q, k):  # q, k: (T, D); returns (T, T)",
            right=lambda q, k: (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1),
            inputs=lambda generator: tuple(torch.randn(2, 6, 16, generator=generator)),
            hint=_("scores `q @ k.mT`, times `D ** -0.5`, then `.softmax(-1)`."),
            mistakes={
                _("the scores were not scaled. Multiply them by `D ** -0.5` first."): lambda q, k: (
                    q @ k.mT
                ).softmax(-1),
                _("divide by √d, not by d."): lambda q, k: (q @ k.mT / q.shape[-1]).softmax(-1),
                _("the softmax goes over the keys, the last dimension."): lambda q, k: (
                    q @ k.mT * q.shape[-1] ** -0.5
                ).softmax(-2),
                _("scale the scores, before the softmax; not the weights."): lambda q, k: (
                    (q @ k.mT).softmax(-1) * q.shape[-1] ** -0.5
                ),
            },
        ),
    )
