"""Exercises of the chapter `block`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

C, L = 768, 12
EPS = 1e-6


def rms_norm(x: Tensor, g: Tensor) -> Tensor:
    """Return the reference: x (B, T, C), g (C,) -> (B, T, C)."""
    return F.rms_norm(x, (x.shape[-1],), g, EPS)


def block(x: Tensor, W: Tensor, U: Tensor) -> Tensor:
    """Return the reference of an MLP with norm and path: W (C, 4C), U (4C, C)."""
    return x + F.relu(F.layer_norm(x, (x.shape[-1],)) @ W) @ U


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _(
                "An MLP has a matrix of C × 4C and one of 4C × C, without biases. How many weights do the "
                "MLPs of {L} blocks have together, for C = {C}?"
            ).format(L=L, C=C),
            right=lambda: L * 8 * C * C,
            hint=_("each of the two matrices has 4C² weights, and there is one MLP in each block."),
            mistakes={
                _("that is one block. There are {L}.").format(L=L): lambda: 8 * C * C,
                _("that is one of the two matrices in each block."): lambda: L * 4 * C * C,
                _("those are the weights of attention: Q, K, V and the output, 4C² in all."): lambda: (
                    4 * C * C
                ),
            },
            tolerance=0.005,
        ),
        FunctionExercise(
            _(
                "Write `rms_norm(x, g)`: divide each token by the root of its mean square plus {eps}, and "
                "multiply by the gain g."
            ).format(eps=EPS),
            "def rms_norm(x, g):  # x: (B, T, C), g: (C,)",
            right=rms_norm,
            inputs=lambda generator: (
                3 * torch.randn(2, 5, 16, generator=generator) + 1,
                torch.rand(16, generator=generator),
            ),
            hint=_("`x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * g`."),
            mistakes={
                _("the gain g is missing."): lambda x, g: rms_norm(x, torch.ones_like(g)),
                _("that is LayerNorm: it subtracts the mean first. RMSNorm does not."): lambda x, g: (
                    F.layer_norm(x, (x.shape[-1],), g, eps=EPS)
                ),
                _("take the mean over the C numbers of each token, `mean(-1, keepdim=True)`."): lambda x, g: (
                    x * (x.square().mean() + EPS).rsqrt() * g
                ),
                _("that divides by the mean square. Take its root."): lambda x, g: (
                    x / (x.square().mean(-1, keepdim=True) + EPS) * g
                ),
            },
        ),
        FunctionExercise(
            _(
                "Write `block(x, W, U)`, the second half of a block: an MLP of ReLU with pre-norm and the "
                "residual path. Use `F.layer_norm(x, x.shape[-1:])`."
            ),
            "def block(x, W, U):  # x: (B, T, C), W: (C, 4C), U: (4C, C)",
            right=block,
            inputs=lambda generator: (
                2 * torch.randn(2, 5, 16, generator=generator),
                torch.randn(16, 64, generator=generator) / 4,
                torch.randn(64, 16, generator=generator) / 8,
            ),
            hint=_("norm, then W, then ReLU, then U, and add the result to x."),
            mistakes={
                _("the residual path is missing: add x."): lambda x, W, U: block(x, W, U) - x,
                _("the norm is missing in front of the MLP."): lambda x, W, U: x + F.relu(x @ W) @ U,
                _("that is post-norm. Norm the copy that the MLP reads, not the sum."): lambda x, W, U: (
                    F.layer_norm(x + F.relu(x @ W) @ U, x.shape[-1:])
                ),
                _("ReLU is missing: two matrices in a row are one matrix."): lambda x, W, U: (
                    x + F.layer_norm(x, x.shape[-1:]) @ W @ U
                ),
                _("add x itself, not the normed copy."): lambda x, W, U: (
                    F.layer_norm(x, x.shape[-1:]) + block(x, W, U) - x
                ),
            },
        ),
    )
