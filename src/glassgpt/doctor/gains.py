"""Checks of a trained model: no part is better at another size, left out, or exchanged.

Another size of a part, a part left out, queries and keys or two tokens in each other's place: a trained model
is not better for any of these. If it is, something changed after the training, and the gain is its cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import torch
from torch import Tensor

from glassgpt.data import IGNORE, Batch
from glassgpt.doctor.alternatives import OPTIONAL, Alternative, alternatives
from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.objective import random_loss, unigram_nats
from glassgpt.doctor.retraining import retrained_part
from glassgpt.doctor.short_training import short_training
from glassgpt.doctor.subject import Skip, Subject, preserved
from glassgpt.language import N_

MIN_NATS = 0.03
MIN_SHARE = 0.015
"""Smallest gain by a change that counts, as a share of the loss. Healthy small models have up to 0.005."""
EARLY, LEARNED_SHARE = 3, 0.8
"""Above this share of the entropy of single tokens a model is not at its best yet: a gain must be EARLY
times as large to count."""
TRAINED_STEPS, TRAINED_LR = 40, 1e-3
"""A change counts only if it saves more than such a training does."""
MOST = 0.7
"""Share of the best gain with which a change of one part is named before one of all logits."""
LEFT_OUT = 0.3
"""A part that is best at a smaller factor than this does harm."""
REGAINED = 0.5
"""Smallest share of the nats that a model has lost since its training that a change must regain."""
LEAST_USE, USELESS = 0.1, 0.1
"""Nats that the most useful part saves, at least, and the share of that under which a part is of no use."""
ROWS, LEAST_TARGETS = 16, 64
N_PAIRS, ROUNDS = 12, 4
"""Pairs of tokens that are exchanged in turn, and how often others are chosen."""


class Gain(NamedTuple):
    """An alternative and the nats that it saves."""

    change: Alternative
    nats: float


def _batch(s: Subject) -> Batch:
    return s.data.rows(slice(0, ROWS if s.predicts_tokens else len(s.data.tokens)))


def _check_learned(s: Subject) -> float:
    """Return the smallest gain that counts. Raises Skip for a model that has not learned, or few targets."""
    if (_batch(s).targets != IGNORE).sum() < LEAST_TARGETS:
        raise Skip(N_("the batch has too few targets"))
    if s.recorded_loss is not None:
        return max(MIN_NATS, MIN_SHARE * s.recorded_loss)
    if s.is_fresh:
        with torch.no_grad():
            logits = s.logits().flatten(0, 1)
        if s.initial_loss < random_loss(s, logits[s.small.targets.flatten() != IGNORE]):
            raise Skip(N_("the model has not learned yet"))
    early = s.initial_loss > LEARNED_SHARE * unigram_nats(_batch(s))
    return max(MIN_NATS, MIN_SHARE * s.initial_loss) * (EARLY if early else 1)


def _parts(s: Subject) -> Iterator[Problem]:
    """Try every part at other sizes and in other places, and some left out."""
    needed, batch = _check_learned(s), _batch(s)
    with torch.no_grad():
        base = s.loss_value(batch)
        gains = [Gain(each, _saved(s, each, batch, base)) for each in alternatives(s, batch)]
    best = _best(s, gains)
    if s.recorded_loss is not None:
        needed = max(needed, REGAINED * (base - s.recorded_loss))
    if best.nats > needed:
        yield _problem(best)
    elif s.recorded_loss is not None:
        yield from list(_useless(gains)) or retrained_part(s, s.recorded_loss)


def _useless(gains: Sequence[Gain]) -> Iterator[Problem]:
    """Name the part without which the loss is about the same, if others are of use."""
    left_out = [each for each in gains if each.change.factor == 0 and each.change.where]
    if not left_out or max(-each.nats for each in left_out) < LEAST_USE:
        return
    best = max(left_out, key=lambda each: each.nats)
    if -best.nats < USELESS * max(-each.nats for each in left_out):
        yield Problem(
            {"mlp output": "mlp", "attention": "projections"}[best.change.category],
            N_("a part is of no use"),
            N_("without it the loss is {nats:.3f} nats higher", nats=-best.nats),
            N_("load the weights of this part again, with the settings of the training"),
            best.change.where,
        )


def _saved(s: Subject, change: Alternative, batch: Batch, base: float) -> float:
    with change.apply():
        nats = base - s.loss_value(batch)
    return nats if math.isfinite(nats) else -math.inf


def _best(s: Subject, gains: Sequence[Gain]) -> Gain:
    """Return the best alternative that training itself would not find."""
    if s.recorded_loss is not None:
        return _most_local(gains)
    gains = [each for each in gains if not each.change.is_early]
    best = _most_local(gains)
    if best.nats > MIN_NATS and best.change.factor is not None and best.nats < _gain_of_training(s):
        # it would change by itself
        return _most_local([each for each in gains if each.change.factor is None])
    return best


def _problem(best: Gain) -> Problem:
    change, nats = best
    place = {"mlp output": "mlp", "attention": "projections"}.get(change.category, change.category)
    if change.factor is None:
        cause, observed = change.cause, N_("in the other way they cost {nats:.3f} nats less", nats=nats)
        advice = N_("check the order and the settings with which weights are read")
    else:
        harmful = change.factor < LEFT_OUT and change.category in OPTIONAL
        cause = N_("a part does harm") if harmful else change.cause
        observed = N_("{factor:g} times as large costs {nats:.3f} nats less", factor=change.factor, nats=nats)
        advice = N_("look for a factor or weights that training did not have; load the weights again")
    return Problem(place, cause, observed, advice, change.where, cost=nats)


def _gain_of_training(s: Subject) -> float:
    """Return the nats that some steps save on rows that they have not seen, at best; 0 without others."""
    more = _further_rows(s)
    batch, others = (
        (s.small, s.data.rows(slice(len(s.small.tokens), ROWS))) if more is None else (more, _batch(s))
    )
    if not len(others.tokens):
        return 0.0
    with preserved(s.model), torch.no_grad():
        losses = [s.loss_value(others)]
        for i, _ in enumerate(short_training(s, TRAINED_STEPS, TRAINED_LR, batch)):
            if i % 5 == 4:
                losses.append(s.loss_value(others))
        return losses[0] - min(losses)


def _further_rows(s: Subject) -> Batch | None:
    """Return rows of later batches of the training; None if there are none of the same shape."""
    rest = [each for each in s.batches[1:5] if each.tokens.shape == s.batches[0].tokens.shape]
    if not rest or any(each.source is not None for each in rest):
        return None
    return Batch(torch.cat([b.tokens for b in rest]), torch.cat([b.targets for b in rest])).to(
        s.data.tokens.device
    )


def _most_local(gains: Sequence[Gain]) -> Gain:
    """Return the best change; that of one part if it explains most of what a change of all would."""
    overall = max(gains, key=lambda each: each.nats)
    local = max((each for each in gains if not each.change.is_global), key=lambda each: each.nats)
    return local if local.nats > MOST * overall.nats else overall


def _tokens(s: Subject) -> Iterator[Problem]:
    """Exchange the embeddings of pairs of tokens: those for which the gradient promises most.

    One half of the rows chooses the pairs, the other measures the gain: that of chance does not carry over.
    """
    needed, tables = _check_learned(s), s.parts.embeddings
    if not tables or not s.predicts_tokens or not s.parts.blocks:
        raise Skip(N_("no table of tokens was found"))  # rows of a bigram table learn alone, some not yet
    if len(s.data.tokens) < 2:
        raise Skip(N_("the batch has one row only"))
    table = tables[0].weight
    half = min(ROWS, len(s.data.tokens)) // 2
    batch, other = s.data.rows(slice(0, half)), s.data.rows(slice(half, 2 * half))
    with torch.no_grad():
        base, n = s.loss_value(other), 0
    for _ in range(ROUNDS):
        better = _exchange_some(s, table, batch, needed / 4)
        n += better
        if better < N_PAIRS // 4:
            break
    with torch.no_grad():
        gain = base - s.loss_value(other)
    if gain > needed and gain > _gain_of_training(s):
        yield Problem(
            "embedding",
            N_("tokens are exchanged"),
            N_("{n} pairs cost {nats:.3f} nats less in each other's place", n=n, nats=gain),
            N_("use the tokenizer and the embedding rows that the model was trained with"),
            tables[0].path,
            cost=gain,
        )


def _exchange_some(s: Subject, table: Tensor, batch: Batch, least: float) -> int:
    """Exchange the rows of pairs of tokens for good if that lowers the loss; return the number of pairs."""
    pairs, n = _promising(table.detach(), _gradient(s, table, batch), batch.tokens), 0
    with torch.no_grad():
        now = s.loss_value(batch)
        for a, b in pairs:
            table[[a, b]] = table[[b, a]]
            tried = s.loss_value(batch)
            if tried < now - least:
                now, n = tried, n + 1
            else:
                table[[a, b]] = table[[b, a]]
    return n


def _gradient(s: Subject, table: Tensor, batch: Batch) -> Tensor:
    """Return the gradient of the loss by a table. Raises Skip for a sparse one."""
    was_learning, table.grad = table.requires_grad, None
    table.requires_grad_(True)
    with torch.enable_grad():
        s.loss(batch).backward()
    table.requires_grad_(was_learning)
    if table.grad is None or table.grad.is_sparse:
        raise Skip(N_("the table of tokens has no gradient"))
    return table.grad


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
    if s.is_as_recorded:
        return  # nothing has changed since the training
    found = list(_parts(s))
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
