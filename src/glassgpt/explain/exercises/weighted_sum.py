"""Exercises of the chapter `weighted-sum`."""

from __future__ import annotations

import torch

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

T, ROW, COLUMN = 8, 5, 2


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _(
                "W @ x is the mean of each token and those before it, T = {T}. What is the weight in row "
                "{row}, column {column} of W (counted from 0)?"
            ).format(T=T, row=ROW, column=COLUMN),
            right=lambda: 1 / (ROW + 1),
            hint=_("row t has t + 1 equal weights, at the columns 0 to t."),
            mistakes={
                _("row t gathers t + 1 tokens: itself counts."): lambda: 1 / ROW,
                _("later tokens do not count: the row has fewer than T weights."): lambda: 1 / T,
                _("that column is before the row's token, so it counts."): lambda: 0.0,
            },
        ),
        FunctionExercise(
            _("Write `weighted_sum(W, x)` without `@` and `matmul`: row t is the sum of W[t, s] · x[s]."),
            "def weighted_sum(W, x):  # W: (T, T), x: (T, C); returns (T, C)",
            right=lambda W, x: W @ x,
            inputs=lambda generator: (
                torch.randn(5, 5, generator=generator).softmax(-1),
                torch.randn(5, 3, generator=generator),
            ),
            hint=_("`(W[t, :, None] * x).sum(0)` is row t."),
            mistakes={
                _("the columns of W were taken. Row t of the result takes row t of W."): lambda W, x: (
                    W.mT @ x
                ),
                _("that is one weight for a token, the diagonal. Sum over all tokens s."): lambda W, x: (
                    W.diagonal()[:, None] * x
                ),
            },
        ),
        FunctionExercise(
            _("Write `causal_mean(x)`: each token becomes the mean of itself and the tokens before it."),
            "def causal_mean(x):  # x: (B, T, C); returns (B, T, C)",
            right=lambda x: torch.stack([x[:, : t + 1].mean(1) for t in range(x.shape[1])], dim=1),
            inputs=lambda generator: (torch.randn(2, 4, 2, generator=generator),),
            hint=_("`W = torch.ones(T, T).tril()`, each row divided by its sum, then `W @ x`."),
            mistakes={
                _("those are sums. Divide each row of W by its sum."): lambda x: x.cumsum(1),
                _("that is the mean of all tokens. The later ones do not count."): lambda x: x.mean(
                    1, keepdim=True
                ).expand_as(x),
                _("that is the mean with the future: tril, not triu."): lambda x: torch.stack(
                    [x[:, t:].mean(1) for t in range(x.shape[1])], dim=1
                ),
                _("row t has t + 1 tokens, so divide by t + 1, not by T."): lambda x: (
                    x.cumsum(1) / x.shape[1]
                ),
            },
        ),
    )
