"""Exercises of the chapter `query-key`."""

from __future__ import annotations

import torch

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

Q, K = (1, 2, 0, -1), (3, 1, 2, -5)
T, D = 6, 64


def product() -> int:
    """Return q · k of the first exercise."""
    return sum(a * b for a, b in zip(Q, K, strict=True))


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _(
                "q = {q} and k = {k}. How large is the score, q · k divided by the root of the head size?"
            ).format(q=list(Q), k=list(K)),
            right=lambda: product() / len(Q) ** 0.5,
            hint=_("multiply the components in pairs, sum, and divide by √d; here d is 4."),
            mistakes={
                _("that is q · k. Divide it by √d."): product,
                _("divide by √d, not by d."): lambda: product() / len(Q),
            },
        ),
        NumberExercise(
            _("How many multiplications does Q @ Kᵀ take for {T} tokens and a head size of {D}?").format(
                T=T, D=D
            ),
            right=lambda: T * T * D,
            hint=_("the table has T · T products of vectors, each of D multiplications."),
            mistakes={
                _("that is the number of scores. Each takes D multiplications."): lambda: T * T,
                _("that is one row: one query with all keys."): lambda: T * D,
            },
        ),
        FunctionExercise(
            _("Write `scores(q, k)`: each query times each key, divided by √D."),
            "def scores(q, k):  # q, k: (B, T, D); returns (B, T, T)",
            right=lambda q, k: q @ k.mT * q.shape[-1] ** -0.5,
            inputs=lambda generator: tuple(torch.randn(2, 3, 5, 16, generator=generator)),
            hint=_("`q @ k.mT * D ** -0.5`: row t for query t, column s for key s."),
            mistakes={
                _("that is q · k. Divide it by √d."): lambda q, k: q @ k.mT,
                _("divide by √d, not by d."): lambda q, k: q @ k.mT / q.shape[-1],
                _("rows and columns are swapped: the queries make the rows."): lambda q, k: (
                    k @ q.mT * q.shape[-1] ** -0.5
                ),
                _("those are the weights. Leave the softmax out."): lambda q, k: (
                    q @ k.mT * q.shape[-1] ** -0.5
                ).softmax(-1),
            },
        ),
    )
