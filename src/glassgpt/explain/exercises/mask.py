"""Exercises of the chapter `mask`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

T, POSITION = 8, 5
SCORES = (2.0, 1.0, 3.0)


def share(scores: tuple[float, ...]) -> float:
    """Return the softmax weight of the first score."""
    return math.exp(scores[0]) / sum(map(math.exp, scores))


def causal(scores: Tensor, diagonal: int = 1) -> Tensor:
    """Fill the future of scores (T, T) with −∞."""
    return scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(diagonal), -torch.inf)


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _(
                "A decoder reads {T} tokens. To how many of them does the token at position {position} "
                "(counted from 0) attend?"
            ).format(T=T, position=POSITION),
            right=lambda: POSITION + 1,
            hint=_("it attends to itself and to all positions before it."),
            mistakes={
                _("one more: it attends to itself, too."): lambda: POSITION,
                _("that is an encoder. A decoder does not look ahead."): lambda: T,
                _("that is T − 1, all but one. It depends on the position."): lambda: T - 1,
            },
        ),
        NumberExercise(
            _(
                "The scores of the second of {T} tokens are {scores}. Which weight does it give the first, "
                "under the causal mask?"
            ).format(T=len(SCORES), scores=list(SCORES)),
            right=lambda: share(SCORES[:2]),
            hint=_("the third score becomes −∞, so the softmax has two terms."),
            mistakes={
                _("the third token lies in the future: mask it."): lambda: share(SCORES),
                _("exp(0) is 1, not 0. The mask is −∞."): lambda: share((*SCORES[:2], 0.0)),
                _("that is the weight of the second token."): lambda: 1 - share(SCORES[:2]),
            },
        ),
        FunctionExercise(
            _("Write `causal_weights(scores)`: the softmax of each row, without the future."),
            "def causal_weights(scores):  # (T, T); returns (T, T)",
            right=lambda scores: causal(scores).softmax(-1),
            inputs=lambda generator: (torch.randn(6, 6, generator=generator),),
            hint=_("`scores.masked_fill(tril == 0, float('-inf')).softmax(-1)`."),
            mistakes={
                _("the future still has weight. Fill it with −∞ first."): lambda scores: scores.softmax(-1),
                _("exp(0) is 1, not 0. The mask is −∞."): lambda scores: scores.tril().softmax(-1),
                _("the rows do not sum to 1. Mask before the softmax."): lambda scores: scores.softmax(
                    -1
                ).tril(),
                _("the softmax goes over the keys, the last dimension."): lambda scores: causal(
                    scores
                ).softmax(-2),
                _("that hides the past. The future lies above the diagonal: keep tril."): lambda scores: (
                    causal(scores.mT).mT.softmax(-1)
                ),
            },
        ),
    )
