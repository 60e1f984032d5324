"""Checks of learning: gradients everywhere, and a batch learned by heart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from torch import Tensor

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.model_parts import category_of
from glassgpt.doctor.objective import unigram_nats
from glassgpt.doctor.short_training import WARM_STEPS, short_training, trainable
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

OVERFIT_STEPS, MAX_ROUNDS, FALLING = 60, 4, 0.95
"""Steps in which a batch is learned by heart. A narrow model may take up to MAX_ROUNDS times as
many, as long as its loss falls to less than FALLING of itself in 30 steps."""
SHARE, SMALL_SHARE, LOW = 0.6, 0.9, 0.5
"""A batch is learned at this share of its first loss, that of a small model, and at so many nats."""
LEARNED = 0.8
"""Loss of a model that has learned, at most, as a share of the entropy of the batch's targets."""
ROOM = 100
"""Numbers in the blocks for each target, from which a batch is learned by heart in a few steps."""


def _gradients(s: Subject) -> Iterator[Problem]:
    """Follow the gradient to every parameter, over a few steps: some matrices begin at zero."""
    reached: set[str] = set()
    for _ in short_training(s, WARM_STEPS, 1e-3):
        reached |= {n for n, p in trainable(s.model).items() if p.grad is not None and _any(p.grad)}
    missed = [name for name in trainable(s.model) if name not in reached]
    if missed:
        yield Problem(
            _place(s, missed),
            N_("the gradient does not reach a parameter"),
            N_("{n} of {of} parameters", n=len(missed), of=len(trainable(s.model))),
            N_("look for detach(), no_grad() or a part that is not used"),
            missed[0],
        )


def _rows(s: Subject) -> Iterator[Problem]:
    """Check that the embedding of each token in the batch gets a gradient."""
    tables = [part for part in s.parts.embeddings if len(part.weight) == s.n_vocab]
    if not tables or not s.predicts_tokens or not tables[0].weight.requires_grad:
        raise Skip(N_("no table of tokens was found"))
    path, table = tables[0].path, tables[0].weight
    for _ in short_training(s, WARM_STEPS, 1e-3):
        pass
    if table.grad is None or table.grad.is_sparse:
        raise Skip(N_("the table of tokens has no gradient"))
    read = s.tokens[(s.tokens >= 0) & (s.small.targets >= 0)].unique()
    lost = read[table.grad[read].abs().amax(1) == 0]
    if len(lost) and len(lost) < len(read):
        yield Problem(
            "embedding",
            N_("rows get no gradient"),
            N_("those of {n} of {of} tokens of the batch", n=len(lost), of=len(read)),
            N_("look for padding_idx, a mask of tokens, or ids that are changed before the table"),
            path,
        )


def _any(grad: Tensor) -> bool:
    return bool(grad.coalesce().values().any() if grad.is_sparse else grad.any())


def _place(s: Subject, names: list[str]) -> str:
    """Return the category of most of these parameters' numbers."""
    missed = set(names)
    for block in s.parts.blocks:
        if {f"{block.path}.{name}" for name, _ in block.module.named_parameters()} <= missed:
            return "residual"  # the whole block is off
    sizes = Counter[str]()
    for name in names:
        sizes[category_of(name)] += s.model.get_parameter(name).numel()
    most = sizes.most_common(1)[0][0]
    return "projections" if most == "attention" else most


def _frozen(s: Subject) -> Iterator[Problem]:
    """Frozen parameters next to learning ones are unusual, except below adapters."""
    if any("lora" in name.lower() for name, _ in s.model.named_parameters()):
        raise Skip(N_("adapters freeze the weights below them"))
    frozen = [
        name
        for name, p in s.model.named_parameters()
        if not p.requires_grad and category_of(name) != "positions"
    ]
    if frozen and trainable(s.model):
        yield Problem(
            _place(s, frozen),
            N_("parameters are frozen"),
            N_("{n} of {of} parameters", n=len(frozen), of=len(frozen) + len(trainable(s.model))),
            N_("set requires_grad, unless it is meant"),
            frozen[0],
            outcome="warn",
        )


def _overfits(s: Subject) -> Iterator[Problem]:
    """Learn one small batch by heart."""
    if s.setting("family") == "bigram" or s.setting("labels"):
        raise Skip(N_("the model cannot learn a batch by heart"))
    frozen = sum(p.numel() for p in s.model.parameters() if not p.requires_grad)
    if frozen > 0.5 * sum(p.numel() for p in s.model.parameters()):
        raise Skip(N_("most weights are frozen"))
    if s.initial_loss < LEARNED * unigram_nats(s.small):
        return  # it has shown that it learns
    room = sum(p.numel() for block in s.parts.blocks for p in block.module.parameters())
    share = SMALL_SHARE if room < ROOM * int((s.small.targets >= 0).sum()) else SHARE
    losses = _losses_by_heart(s, share)
    first, best = losses[0], min(losses[-10:])
    if not _is_learned(losses, share):
        yield Problem(
            "learning",
            N_("one batch is not learned"),
            N_("from {first:.3f} to {last:.3f} nats in {n} steps", first=first, last=best, n=len(losses)),
            N_("look for a broken gradient, positions that are not seen, or targets without relation"),
            outcome="fail" if best > 0.85 * first else "warn",
        )


def _losses_by_heart(s: Subject, share: float) -> list[float]:
    """Train on the small batch until it is learned or its loss hardly falls; return the loss of each step."""
    losses = list[float]()
    for loss in short_training(s, MAX_ROUNDS * OVERFIT_STEPS, 3e-3):
        losses.append(loss)
        is_falling = min(losses[-10:]) < FALLING * min(losses[-40:-30], default=math.inf)
        if len(losses) % OVERFIT_STEPS == 0 and (_is_learned(losses, share) or not is_falling):
            break
    return losses


def _is_learned(losses: Sequence[float], share: float) -> bool:
    """Return True if the loss has fallen to this share of the first one, or is low."""
    return min(losses[-10:]) <= max(LOW, share * losses[0])


def _depth(s: Subject) -> Iterator[Problem]:
    """Compare the gradient norms of the same matrix in the first and the last block."""
    losses = short_training(s, WARM_STEPS, 1e-3)
    norms: dict[str, float] = {}
    for _ in losses:
        norms = {
            n: float(p.grad.norm())
            for n, p in trainable(s.model).items()
            if p.grad is not None and p.ndim == 2 and not p.grad.is_sparse
        }
    values = [value for value in norms.values() if value > 0]
    if not values:
        raise Skip(N_("no gradients"))
    total = sum(value**2 for value in values) ** 0.5
    if not total < 1e3:
        yield Problem(
            "learning",
            N_("the gradient explodes"),
            N_("norm {norm:.3g}", norm=total),
            N_("check initialization, norms and the scale of the logits"),
            max(norms, key=norms.__getitem__),
        )


GRADIENTS = Check(
    N_("gradients"), N_("every parameter has one"), N_("what has no gradient does not learn"), _gradients
)
FROZEN = Check(N_("frozen parameters"), N_("all or none"), N_("a part stays random"), _frozen)
DEPTH = Check(N_("size of gradients"), N_("norm below 1000"), N_("larger ones destroy the weights"), _depth)
OVERFITS = Check(
    N_("one batch by heart"),
    N_("the loss falls far"),
    N_("a model that cannot learn one batch learns nothing"),
    _overfits,
    last=True,
)

ROWS = Check(
    N_("rows of the table"),
    N_("each token that was read learns"),
    N_("a row without a gradient stays random"),
    _rows,
)

CHECKS = (GRADIENTS, FROZEN, ROWS, DEPTH, OVERFITS)
