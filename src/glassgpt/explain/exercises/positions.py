"""Exercises of the chapter `positions`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

BLOCK, C = 1024, 768
THETA, D = 10_000, 64


def frequencies(D: int, theta: float) -> Tensor:
    """Return the reference: (D / 2,)."""
    return theta ** (-torch.arange(0, D, 2).double() / D)


def rope(x: Tensor, position: float, sign: int = 1, *, neighbors: bool = False) -> Tensor:
    """Return the reference, or a mistake: x (D,) -> (D,)."""
    angle = sign * position * frequencies(len(x), THETA)
    a, b = (x[::2], x[1::2]) if neighbors else x.double().chunk(2)
    turned = torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()])
    return turned.to(x.dtype)


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _(
                "GPT-2 small has a context of {block} tokens and vectors of {C} numbers. How many trained "
                "numbers does its table of positions have?"
            ).format(block=BLOCK, C=C),
            right=lambda: BLOCK * C,
            hint=_("the table has a row for each position, as wide as a token's vector."),
            mistakes={
                _("that is the length of the table. Each row has {C} numbers.").format(C=C): lambda: BLOCK,
                _("that is one row. There is one for each position."): lambda: C,
                _("that is the table of tokens, with 50,257 rows."): lambda: 50257 * C,
            },
            tolerance=0.001,
        ),
        NumberExercise(
            _(
                "RoPE with θ = {theta:,} and heads of width {D}: how many tokens does the slowest pair need "
                "for a whole turn of 2π?"
            ).format(theta=THETA, D=D),
            right=lambda: 2 * math.pi * THETA ** ((D - 2) / D),
            hint=_("the last pair turns by θ^(−(D − 2)/D) radians a token."),
            mistakes={
                _("the last pair has the exponent (D − 2)/D, not 1."): lambda: 2 * math.pi * THETA,
                _("that is the fastest pair: 1 radian a token."): lambda: 2 * math.pi,
                _("that is one radian. A whole turn has 2π."): lambda: THETA ** ((D - 2) / D),
            },
        ),
        FunctionExercise(
            _(
                "Write `rope(x, position)` with θ = {theta:,}: rotate the pairs (x_i, x_(i + D/2)) by the "
                "angle position · θ^(−2i/D)."
            ).format(theta=THETA),
            "def rope(x, position):  # x: (D,)",
            right=rope,
            inputs=lambda generator: (
                torch.randn(16, generator=generator),
                int(torch.randint(1, 9, (1,), generator=generator)),
            ),
            hint=_("`a, b = x.chunk(2)`, then a cos − b sin and a sin + b cos, one after the other."),
            mistakes={
                _("it turns backwards: swap the signs of the sines."): lambda x, position: rope(
                    x, position, -1
                ),
                _("the pairs are (x_i, x_(i + D/2)), not neighbors. Use `x.chunk(2)`."): lambda x, position: (
                    rope(x, position, neighbors=True)
                ),
                _(
                    "all pairs turn by the same angle. The frequency falls from pair to pair."
                ): lambda x, position: _one_angle(x, position),
                _("that adds the angle. RoPE rotates, so that the norm stays."): lambda x, position: (
                    x + (position * frequencies(len(x), THETA)).repeat(2).to(x.dtype)
                ),
            },
        ),
    )


def _one_angle(x: Tensor, position: float) -> Tensor:
    a, b = x.double().chunk(2)
    cos, sin = math.cos(position), math.sin(position)
    return torch.cat([a * cos - b * sin, a * sin + b * cos]).to(x.dtype)
