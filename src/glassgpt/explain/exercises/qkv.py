"""Exercises of the chapter `qkv`."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

C, H, H_KV = 768, 12, 4


def heads(y: Tensor, n_head: int, part: int) -> Tensor:
    """Return one of the three parts of y (T, 3C), by heads: (H, T, D)."""
    T, width = y.shape
    return y.chunk(3, dim=-1)[part].view(T, n_head, width // 3 // n_head).transpose(0, 1)


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    D = C // H
    return (
        NumberExercise(
            _(
                "C = {C}. How many weights has the matrix that makes q, k and v at once, without a bias?"
            ).format(C=C),
            right=lambda: 3 * C * C,
            hint=_("it has C columns and 3C rows."),
            mistakes={
                _("that is one of the three matrices."): lambda: C * C,
                _("that is the number of rows."): lambda: 3 * C,
                _("that includes the projection after the heads."): lambda: 4 * C * C,
            },
        ),
        NumberExercise(
            _(
                "{H} query heads of size {D} share {H_kv} heads for keys and values. How many rows has the "
                "matrix?"
            ).format(H=H, D=D, H_kv=H_KV),
            right=lambda: (H + 2 * H_KV) * D,
            hint=_("D rows for each query head, each key head and each value head."),
            mistakes={
                _("that is without shared heads: 3C."): lambda: 3 * C,
                _("keys and values need heads each: count H_kv twice."): lambda: (H + H_KV) * D,
                _("that is the number of heads. Each has D rows."): lambda: H + 2 * H_KV,
            },
        ),
        FunctionExercise(
            _("Write `query_heads(y, H)`: y is the product (T, 3C) of q, k and v in this order."),
            "def query_heads(y, H):  # (T, 3C); returns the queries of all heads, (H, T, D)",
            right=lambda y, H: heads(y, H, 0),
            inputs=lambda generator: (torch.randn(5, 3 * 12, generator=generator), 4),
            hint=_("the first C columns, `.view(T, H, D)`, then `.transpose(0, 1)`."),
            mistakes={
                _("those are the keys. The queries come first."): lambda y, H: heads(y, H, 1),
                _("those are the values. The queries come first."): lambda y, H: heads(y, H, 2),
                _("`.view(H, T, D)` mixes tokens: a head takes columns, not rows."): lambda y, H: y.chunk(
                    3, dim=-1
                )[0].reshape(H, len(y), -1),
            },
        ),
    )
