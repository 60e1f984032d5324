"""Exercises of the chapter `graph`."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgpt.explain.content import Translate
from glassgpt.explain.exercise import Exercise, FunctionExercise, NumberExercise

T_DECODER = 10
B, T = 4, 8


def gather(x: Tensor, A: Tensor) -> Tensor:
    """Return the mean over the nodes that point to each node. x (T, C), A (T, T) of bool."""
    W = A.float()
    return W / W.sum(1, keepdim=True) @ x


def make_exercises(_: Translate) -> tuple[Exercise, ...]:
    """Return the exercises, the easiest first."""
    return (
        NumberExercise(
            _("How many edges has the graph of a decoder, for one sequence of {T} tokens?").format(
                T=T_DECODER
            ),
            right=lambda: T_DECODER * (T_DECODER + 1) / 2,
            hint=_("token t gathers from t + 1 tokens, counted from 0. Sum over all tokens."),
            mistakes={
                _("each token also gathers from itself."): lambda: T_DECODER * (T_DECODER - 1) / 2,
                _("that is an encoder, where all gather from all."): lambda: T_DECODER**2,
            },
        ),
        NumberExercise(
            _(
                "An encoder gets a batch of {B} sequences of {T} tokens. How many edges are there in all?"
            ).format(B=B, T=T),
            right=lambda: B * T * T,
            hint=_("each sequence is a graph of its own, with an edge between all pairs of its tokens."),
            mistakes={
                _("nothing crosses the batch: the sequences are separate graphs."): lambda: (B * T) ** 2,
                _("that is one sequence of the batch."): lambda: T * T,
                _("that is a decoder. An encoder has no mask."): lambda: B * T * (T + 1) / 2,
            },
        ),
        FunctionExercise(
            _(
                "Write `gather(x, A)`: each node becomes the mean of the nodes that point to it. A[t, s] is "
                "true if s points to t."
            ),
            "def gather(x, A):  # x: (T, C), A: (T, T) of bool; returns (T, C)",
            right=gather,
            inputs=lambda generator: (
                torch.randn(6, 3, generator=generator),
                (torch.rand(6, 6, generator=generator) < 0.4) | torch.eye(6, dtype=torch.bool),
            ),
            hint=_("`W = A.float()`, each row divided by its sum, then `W @ x`."),
            mistakes={
                _("those are sums. Divide each row of W by its sum."): lambda x, A: A.float() @ x,
                _("the arrows go the other way: A[t, s] is an edge from s to t."): lambda x, A: gather(
                    x, A.mT
                ),
                _("that is the mean of all nodes. Only those with an edge count."): lambda x, A: gather(
                    x, torch.ones_like(A)
                ),
            },
        ),
    )
