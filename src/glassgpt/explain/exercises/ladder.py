"""Exercises of the chapter `ladder`."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

V, C = 65, 64


def by_head(q: Tensor, k: Tensor, v: Tensor, *, scale: bool = True, mask: bool = True) -> Tensor:
    """Return the causal attention of each head: (H, T, D) each -> (H, T, D)."""
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale else 1.0)
    if mask:
        hidden = torch.ones_like(scores, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(hidden, -torch.inf)
    return scores.softmax(-1) @ v


def joined(y: Tensor) -> Tensor:
    """Put the heads side by side: (H, T, D) -> (T, H · D)."""
    return y.transpose(0, 1).flatten(1)


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _("How many parameters has the bigram table of a vocabulary of {V}?").format(V=V),
            right=lambda: V * V,
            hint=_("a row of V logits for each of V tokens."),
            mistakes={
                _("that is one row."): lambda: V,
                _("one table is enough: its rows are the logits, there is no head."): lambda: 2 * V * V,
            },
        ),
        NumberExercise(
            _(
                "How many weights has a block of width C = {C}, without biases and norms? Its MLP is four "
                "times as wide."
            ).format(C=C),
            right=lambda: 12 * C * C,
            hint=_("attention: C · 3C and C · C. The MLP: C · 4C and 4C · C."),
            mistakes={
                _("that is the attention alone. Add the MLP."): lambda: 4 * C * C,
                _("that is the MLP alone. Add the attention."): lambda: 8 * C * C,
                _("the projection after the heads has C · C weights, too."): lambda: 11 * C * C,
            },
        ),
        FunctionExercise(
            _(
                "Write `multi_head(q, k, v)`: causal attention of each head, and the heads side by side, the "
                "first one first."
            ),
            "def multi_head(q, k, v):  # (H, T, D) each; returns (T, H · D)",
            right=lambda q, k, v: joined(by_head(q, k, v)),
            inputs=lambda generator: tuple(torch.randn(3, 2, 5, 4, generator=generator)),
            hint=_("scale, mask, softmax, times v; then `.transpose(0, 1).flatten(1)`."),
            mistakes={
                _("`.reshape(T, H · D)` mixes tokens. Transpose to (T, H, D) first."): lambda q, k, v: (
                    by_head(q, k, v).reshape(q.shape[1], -1)
                ),
                _("the causal mask is missing."): lambda q, k, v: joined(by_head(q, k, v, mask=False)),
                _("the scores were not divided by √D."): lambda q, k, v: joined(
                    by_head(q, k, v, scale=False)
                ),
            },
        ),
    )
