"""Exercises of the chapter `cross`."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

T, S = 5, 9
SIDE, PATCH, WORDS = 32, 8, 6


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q @ kᵀ / √D) @ v."""
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v


def attend_before(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same with a causal mask."""
    scores = q @ k.mT * q.shape[-1] ** -0.5
    hidden = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, -torch.inf).softmax(-1) @ v


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _(
                "A translator has written {T} tokens of a source of {S}. How many weights has one head of "
                "cross-attention?"
            ).format(T=T, S=S),
            right=lambda: T * S,
            hint=_("one row for each query, one column for each key: T · S."),
            mistakes={
                _("that is self-attention of the written tokens."): lambda: T * T,
                _("that is self-attention of the source."): lambda: S * S,
                _("cross-attention has no causal mask: all keys count."): lambda: T * (T + 1) / 2,
            },
        ),
        NumberExercise(
            _(
                "A question of {words} tokens asks an image of {side} × {side} pixels, cut into patches of "
                "{patch} × {patch}. How many keys are there?"
            ).format(words=WORDS, side=SIDE, patch=PATCH),
            right=lambda: (SIDE // PATCH) ** 2,
            hint=_("each patch is one vector of the memory, hence one key."),
            mistakes={
                _("those are the queries. The keys come from the image."): lambda: WORDS,
                _("those are the pixels. A key belongs to a whole patch."): lambda: SIDE**2,
                _("that is one row of patches."): lambda: SIDE // PATCH,
                _("that is the size of a patch, not their number."): lambda: PATCH**2,
            },
        ),
        FunctionExercise(
            _(
                "Write `cross_attention(x, memory, Wq, Wk, Wv)`: one head, in which x asks the memory. q is "
                "x @ Wq, and so on."
            ),
            "def cross_attention(x, memory, Wq, Wk, Wv):  # (T, C), (S, C), (C, D) each; returns (T, D)",
            right=lambda x, memory, Wq, Wk, Wv: attend(x @ Wq, memory @ Wk, memory @ Wv),
            inputs=lambda generator: (
                torch.randn(T, 8, generator=generator),
                torch.randn(S, 8, generator=generator),
                *torch.randn(3, 8, 4, generator=generator),
            ),
            hint=_("q from x; k and v from the memory; then softmax(q @ k.mT / √D) @ v."),
            mistakes={
                _(
                    "that is self-attention: k and v must come from the memory."
                ): lambda x, memory, Wq, Wk, Wv: attend(x @ Wq, x @ Wk, x @ Wv),
                _("the scores were not divided by √D."): lambda x, memory, Wq, Wk, Wv: attend(
                    x @ Wq * Wq.shape[-1] ** 0.5, memory @ Wk, memory @ Wv
                ),
                _("cross-attention has no causal mask: all keys count."): lambda x, memory, Wq, Wk, Wv: (
                    attend_before(x @ Wq, memory @ Wk, memory @ Wv)
                ),
                _("keys and values are swapped."): lambda x, memory, Wq, Wk, Wv: attend(
                    x @ Wq, memory @ Wv, memory @ Wk
                ),
            },
        ),
    )
