"""Checks of a trained model: training leaves each part where the loss is lowest.

Another size of a part, a part left out, queries and keys or two tokens in each other's place: a trained model
is not better for any of these. If it is, something changed after the training, and the gain is its cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glassgpt.data import IGNORE, Batch
from glassgpt.doctor.anatomy import Anatomy, NamedModule
from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.objective import random_loss
from glassgpt.doctor.probes import FunctionProbe, scaled_outputs
from glassgpt.doctor.short_training import short_training
from glassgpt.doctor.subject import Skip, Subject, preserved
from glassgpt.language import N_

FACTORS = (0.25, 0.5, 0.707, 1.414, 2.0, 4.0)
MIN_NATS = 0.03
MIN_SHARE = 0.02
"""Smallest gain by a change that counts, as a share of the loss."""
EARLY, EARLY_SHARE = 4, 0.7
"""Above this share of the entropy of single tokens a model is not at its best yet: a gain must be EARLY
times as large to count."""
LEARNED_SHARE = 0.8
"""Loss of a model that has learned, at most, as a share of the entropy of single tokens."""
GLOBAL = ("normalization", "output")
"""Parts whose size changes everything after them."""
TRAINED_STEPS, TRAINED_LR = 40, 1e-3
"""A size of the logits counts only if it saves more than such a training does."""
MOST = 0.7
LEFT_OUT = 0.3
"""A part that is best at a smaller factor than this does harm."""
ROWS = 16
N_PAIRS = 12
"""Pairs of tokens that are exchanged in turn."""
SIZES: dict[str, str] = {
    "attention scores": N_("scores have the wrong size"),
    "attention": N_("the attention's output has the wrong size"),
    "projections": N_("the attention's matrices have the wrong size"),
    "mlp": N_("the MLP's matrices have the wrong size"),
    "mlp output": N_("the MLP's output has the wrong size"),
    "normalization": N_("the gain has the wrong size"),
    "output": N_("logits have the wrong size"),
}


class Change(NamedTuple):
    """A changed size: part, factor, and the nats that it saves."""

    category: str
    factor: float
    nats: float


@contextmanager
def _scaled(s: Subject, anatomy: Anatomy, category: str, factor: float) -> Iterator[None]:
    """Change the size of a part."""
    if category == "attention scores":
        with FunctionProbe(keep=False, score_scale=factor):
            yield
    elif category in ("projections", "mlp"):
        parts = anatomy.mlps if category == "mlp" else anatomy.attentions
        matrices = {p for part in parts for p in part.module.parameters() if p.ndim >= 2}
        with _multiplied(matrices, factor):
            yield
    else:
        full = [each for each in anatomy.norms if _is_full(each, anatomy)]
        head = [] if anatomy.head is None else [anatomy.head]
        parts = {
            "attention": anatomy.attentions,
            "mlp output": anatomy.mlps,
            "normalization": full,
            "output": head,
        }[category]
        with scaled_outputs([part.module for part in parts], factor):
            yield


@contextmanager
def _multiplied(matrices: set[nn.Parameter], factor: float) -> Iterator[None]:
    kept = {p: p.detach().clone() for p in matrices}
    try:
        for p in matrices:
            p.mul_(factor)
        yield
    finally:
        for p, value in kept.items():
            p.copy_(value)


def _is_full(norm: NamedModule, anatomy: Anatomy) -> bool:
    """True for a norm over the whole width: directly inside a block, or outside of all."""
    above = norm.path.rpartition(".")[0]
    return any(above == block.path for block in anatomy.blocks) or not any(
        norm.path.startswith(block.path + ".") for block in anatomy.blocks
    )


def _batch(s: Subject) -> Batch:
    return s.data.rows(slice(0, ROWS))


def _check_learned(s: Subject) -> float:
    """Return the smallest gain that counts. Raises Skip for a model that has not learned."""
    if s.is_fresh:
        with torch.no_grad():
            logits = s.logits().flatten(0, 1)
        if s.initial_loss < random_loss(s, logits[s.small.targets.flatten() != IGNORE]):
            raise Skip(N_("the model has not learned yet"))
    early = s.initial_loss > EARLY_SHARE * _unigram_nats(_batch(s))
    return max(MIN_NATS, MIN_SHARE * s.initial_loss) * (EARLY if early else 1)


@torch.no_grad()
def _sizes(s: Subject) -> Iterator[Problem]:
    """Try every part at other sizes, and attention and MLP left out."""
    needed, anatomy, batch = _check_learned(s), Anatomy(s.model, s.n_vocab), _batch(s)
    base = float(s.loss(batch))
    changes: list[Change] = []
    for category in SIZES:
        for factor in (*FACTORS, *((0.0,) if category in ("attention", "mlp output") else ())):
            with _scaled(s, anatomy, category, factor):
                changes.append(Change(category, factor, base - float(s.loss(batch))))
    if base > LEARNED_SHARE * _unigram_nats(batch):  # a model at the beginning would rather be surer
        changes = [each for each in changes if each.factor < 1]
    best = _most_local(changes)
    if best.factor > 1 and best.category in GLOBAL and not best.nats > _gain_of_training(s):
        return  # it is not trained to the end, and would become as sure by itself
    swapped = _gain_of_exchange(s, batch, base)
    if swapped > max(needed, best.nats):
        yield Problem(
            "projections",
            N_("queries and keys are exchanged"),
            N_("in each other's place they cost {nats:.3f} nats less", nats=swapped),
            N_("check the order in which the projections are read"),
            cost=swapped,
        )
    elif best.nats > needed:
        place = {"mlp output": "mlp", "attention": "projections"}.get(best.category, best.category)
        yield Problem(
            place,
            N_("a part does harm")
            if best.factor < LEFT_OUT and place != best.category
            else SIZES[best.category],
            N_("{factor:g} times as large costs {nats:.3f} nats less", factor=best.factor, nats=best.nats),
            N_("look for a factor or weights that training did not have; load the weights again"),
            cost=best.nats,
        )


def _gain_of_training(s: Subject) -> float:
    """Return the nats that some steps on a few rows save on others, at best; 0 without others."""
    others = s.data.rows(slice(len(s.small.tokens), ROWS))
    if not len(others.tokens):
        return 0.0
    with preserved(s.model), torch.no_grad():
        losses = [float(s.loss(others))]
        for i, _ in enumerate(short_training(s, TRAINED_STEPS, TRAINED_LR)):
            if i % 5 == 4:
                losses.append(float(s.loss(others)))
        return losses[0] - min(losses)


def _most_local(changes: list[Change]) -> Change:
    """Return the best change; that of one part if it explains most of what a change of all would."""

    def best(some: list[Change]) -> Change:
        return max(some, key=lambda each: each.nats if math.isfinite(each.nats) else -math.inf)

    local = best([each for each in changes if each.category not in GLOBAL])
    overall = best(changes)
    return local if local.nats > MOST * overall.nats else overall


def _unigram_nats(batch: Batch) -> float:
    """Return the entropy of the batch's own targets, in nats."""
    counts = batch.targets[batch.targets != IGNORE].unique(return_counts=True)[1].double()
    share = counts / counts.sum()
    return float(-(share * share.log()).sum())


def _gain_of_exchange(s: Subject, batch: Batch, base: float) -> float:
    """Return the nats that queries and keys save in each other's place."""
    with FunctionProbe(keep=False, exchange=True):
        return base - float(s.loss(batch))


def _tokens(s: Subject) -> Iterator[Problem]:
    """Exchange the embeddings of pairs of tokens: those for which the gradient promises most.

    One half of the rows chooses the pairs, the other measures the gain: that of chance does not carry over.
    """
    needed, tables = _check_learned(s), Anatomy(s.model, s.n_vocab).embeddings
    if not tables or not s.predicts_tokens:
        raise Skip(N_("no table of tokens was found"))
    if len(s.data.tokens) < 2:
        raise Skip(N_("the batch has one row only"))
    table = tables[0].weight
    half = min(ROWS, len(s.data.tokens)) // 2
    batch, other = s.data.rows(slice(0, half)), s.data.rows(slice(half, 2 * half))
    was_learning = table.requires_grad
    table.requires_grad_(True)
    table.grad = None
    loss = s.loss(batch)
    loss.backward()
    table.requires_grad_(was_learning)
    if table.grad is None or table.grad.is_sparse:
        raise Skip(N_("the table of tokens has no gradient"))
    pairs = _promising(table.detach(), table.grad, batch.tokens)
    now, n = loss.item(), 0
    with torch.no_grad():
        base = float(s.loss(other))
        for a, b in pairs:
            table[[a, b]] = table[[b, a]]
            tried = float(s.loss(batch))
            if tried < now - needed / 4:
                now, n = tried, n + 1
            else:
                table[[a, b]] = table[[b, a]]
        gain = base - float(s.loss(other))
    if gain > needed:
        yield Problem(
            "embedding",
            N_("tokens are exchanged"),
            N_("{n} pairs cost {nats:.3f} nats less in each other's place", n=n, nats=gain),
            N_("use the tokenizer and the embedding rows that the model was trained with"),
            tables[0].path,
            cost=gain,
        )


@torch.no_grad()
def _promising(table: Tensor, grad: Tensor, tokens: Tensor) -> list[tuple[int, int]]:
    """Return pairs of rows (V, C) whose exchange lowers the loss most, to first order."""
    seen = tokens[tokens >= 0].unique()[:512]
    e, g = table[seen], grad[seen]  # (n, C)
    own = (g * e).sum(1)
    change = g @ e.T + (g @ e.T).T - own[:, None] - own[None]  # (n, n)
    order = change.triu(1).flatten().argsort()[: 20 * N_PAIRS]
    used: set[int] = set()
    pairs: list[tuple[int, int]] = []
    for at in order.tolist():
        a, b = int(seen[at // len(seen)]), int(seen[at % len(seen)])
        if a != b and not {a, b} & used:
            used |= {a, b}
            pairs.append((a, b))
    return pairs[:N_PAIRS]


def _learned(s: Subject) -> Iterator[Problem]:
    """Try both, and name the one that costs more."""
    found = list(_sizes(s))
    with suppress(Skip):
        found += _tokens(s)
    cost = max((each.cost or 0.0 for each in found), default=0.0)
    exact = [each for each in found if each.category == "embedding" and (each.cost or 0) > cost / 2]
    yield from [*exact, *sorted(found, key=lambda each: -(each.cost or 0))][:1]


LEARNED = Check(
    N_("learned sizes"),
    N_("no part is better at another size or place"),
    N_("training itself would have found it"),
    _learned,
    last=True,
)
CHECKS = (LEARNED,)
