"""Checks of learned sizes: training leaves each part at the size at which the loss is lowest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager

import torch

from glassgpt.doctor.anatomy import Anatomy
from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.probes import FunctionProbe, scaled_outputs
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

FACTORS = (0.25, 0.5, 0.707, 1.414, 2.0, 4.0)
MIN_NATS = 0.03
MIN_SHARE = 0.02
"""Smallest gain by another size that counts, as a share of the loss."""
CAUSES = {
    "attention scores": N_("scores have the wrong size"),
    "attention": N_("the attention's output has the wrong size"),
    "mlp": N_("the MLP's output has the wrong size"),
    "normalization": N_("the gain has the wrong size"),
    "output": N_("logits have the wrong size"),
}


def _scaled(s: Subject, anatomy: Anatomy, category: str, factor: float) -> AbstractContextManager[None]:
    if category == "attention scores":
        return FunctionProbe(keep=False, score_scale=factor)  # type: ignore[return-value]
    last = anatomy.head
    parts = {
        "attention": anatomy.attentions,
        "mlp": anatomy.mlps,
        "normalization": [part for part in anatomy.norms if _is_inner(part.path, anatomy)],
        "output": [] if last is None else [last],
    }[category]
    return scaled_outputs([part.module for part in parts], factor)


def _is_inner(path: str, anatomy: Anatomy) -> bool:
    """True for a norm directly inside a block."""
    return any(path.rpartition(".")[0] == block.path for block in anatomy.blocks)


@torch.no_grad()
def best_sizes(s: Subject) -> dict[str, tuple[float, float]]:
    """Return the best factor of each part and the nats that it saves."""
    anatomy = Anatomy(s.model, s.n_vocab)
    batch = s.data.rows(slice(0, 16))
    base = float(s.loss(batch))
    found: dict[str, tuple[float, float]] = {}
    for category in CAUSES:
        losses = {1.0: base}
        for factor in FACTORS:
            with _scaled(s, anatomy, category, factor):
                losses[factor] = float(s.loss(batch))
        best = min(losses, key=lambda f: losses[f] if math.isfinite(losses[f]) else math.inf)
        found[category] = (best, base - losses[best])
    return found


def _sizes(s: Subject) -> Iterator[Problem]:
    loss = s.initial_loss
    if s.is_fresh and loss < math.log(s.n_vocab) + 0.2:
        raise Skip(N_("the model has not learned yet"))
    found = best_sizes(s)
    category = max(found, key=lambda each: found[each][1])
    factor, nats = found[category]
    if nats < max(MIN_NATS, MIN_SHARE * loss):
        return
    yield Problem(
        category,
        CAUSES[category],
        N_("{factor:g} times as large costs {nats:.3f} nats less", factor=factor, nats=nats),
        N_("look for a factor that training did not have"),
        cost=nats,
    )


SIZES = Check(
    N_("learned sizes"),
    N_("no part is better at another size"),
    N_("training itself would have found it"),
    _sizes,
)
CHECKS = (SIZES,)
