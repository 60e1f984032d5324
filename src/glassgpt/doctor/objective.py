"""Checks of the objective: the gradient of the loss at the logits shows each target and its weight."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgpt.data import IGNORE, Batch
from glassgpt.diagnose import expected_initial_loss, initial_loss_noise
from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.loss_gradient import loss_gradient
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

SHIFTS = (0, 2, -1, 3)
"""Wrong distances between a token and its target."""


def _target(s: Subject) -> Iterator[Problem]:
    """Compare the token that the loss raises with the tokens around it."""
    seen = loss_gradient(s)
    targets, expected = seen.targets, s.data.targets
    counted = seen.counted & (expected != IGNORE)
    if not counted.any():
        yield Problem(
            "objective",
            N_("no target counts"),
            0.0,
            N_("check the mask of the loss and the ignored targets"),
        )
        return
    right = float((targets == expected)[counted].float().mean())
    if right > 0.98 or seen.smoothing:
        return
    tokens = s.data.tokens
    for k in SHIFTS:
        moved = tokens.roll(-k, 1)
        inside = torch.ones_like(counted)
        inside[:, -3:], inside[:, :3] = False, False
        share = float((targets == moved)[counted & inside].float().mean())
        if share > 0.9:
            yield Problem(
                "objective",
                N_("the target is not the next token"),
                N_("the target at i is the token at i{k:+d}", k=k),
                N_("shift once: the target at i is the token at i + 1"),
            )
            return
    yield Problem(
        "objective",
        N_("targets are not those of the batch"),
        N_("{share:.0%} agree", share=right),
        N_("check the shift, the order of the dimensions and the labels"),
    )


def _average(s: Subject) -> Iterator[Problem]:
    """Add the weights of all targets: a mean has a sum of 1."""
    seen = loss_gradient(s)
    total = float(seen.weights[seen.counted].sum())
    expected = s.data.targets
    extra = int((seen.counted & (expected == IGNORE)).sum())
    if extra and len(s.data.targets) and (expected != IGNORE).any() and not isinstance(s.batch, Tensor):
        yield Problem(
            "objective",
            N_("targets count that should be ignored"),
            N_("{n} of them", n=extra),
            N_("pass ignore_index, or set these targets to −100"),
        )
        return
    missing = int((~seen.counted & (expected != IGNORE)).sum())
    if missing > 0.02 * int((expected != IGNORE).sum()):
        yield Problem(
            "objective",
            N_("targets do not count"),
            N_("{n} of {of}", n=missing, of=int((expected != IGNORE).sum())),
            N_("check the mask of the loss"),
        )
        return
    if not 0.9 < total < 1.1:
        yield Problem(
            "objective",
            N_("the loss is not a mean over targets"),
            N_("the weights of the targets add up to {total:.4g}", total=total),
            N_("divide the sum of the losses by the number of targets"),
        )
    used = seen.weights[seen.counted]
    if float(used.max()) > 1.5 * float(used.median()) and float(used.min()) > 0:
        yield Problem(
            "objective",
            N_("targets have unequal weights"),
            N_("from {low:.2g} to {high:.2g}", low=float(used.min()), high=float(used.max())),
            N_("divide by the number of targets of the whole batch, not of each row"),
            outcome="warn",
        )


def _value(s: Subject) -> Iterator[Problem]:
    """Compare the loss with the cross-entropy of the same logits."""
    seen = loss_gradient(s)
    counted = seen.counted
    p = seen.logits.float().log_softmax(-1)
    nats = float(-p.gather(-1, seen.labels[..., None])[..., 0][counted].mean())
    nats += seen.smoothing * (float(-p[counted].mean()) - nats)
    if abs(seen.loss - nats) > 0.02 * max(nats, 0.1) + 0.01:
        yield Problem(
            "objective",
            N_("the loss is not the cross-entropy in nats"),
            N_("{loss:.4g}, but the logits cost {nats:.4g}", loss=seen.loss, nats=nats),
            N_("use the mean cross-entropy of raw logits, without a softmax before it"),
            outcome="fail" if not 0.4 < seen.loss / nats < 2.2 or abs(seen.loss - nats) > 0.3 else "warn",
        )


def random_loss(s: Subject, logits: Tensor) -> float:
    """Return the largest loss that logits (n, V) have by chance: ln V + σ²/2 and noise, for σ up to 1.

    A trained model has no right to random logits: little more than ln V.
    """
    if s.is_trained:
        return math.log(s.n_vocab) + 0.1
    variance = min(max(float(logits.float().var(-1).mean()), 0.01), 1.0)
    return expected_initial_loss(s.n_vocab, variance) + 4 * initial_loss_noise(len(logits), variance) + 0.1


def unigram_nats(batch: Batch) -> float:
    """Return the entropy of the batch's own targets, in nats."""
    counts = batch.targets[batch.targets != IGNORE].unique(return_counts=True)[1].double()
    share = counts / counts.sum()
    return float(-(share * share.log()).sum())


@torch.no_grad()
def _initial(s: Subject) -> Iterator[Problem]:
    """Compare the loss of a model that has not learned with that of random logits."""
    logits = s.logits().flatten(0, 1).float()
    targets = s.small.targets.flatten()
    counted = targets != IGNORE
    if not counted.any():
        raise Skip(N_("the batch has no targets"))
    loss = float(F.cross_entropy(logits[counted], targets[counted]))
    uniform = math.log(s.n_vocab)
    if loss < uniform:
        return
    if loss > random_loss(s, logits[counted]):
        yield Problem(
            "output",
            N_("worse than a uniform guess"),
            N_("{loss:.3f} nats, a uniform guess costs {uniform:.3f}", loss=loss, uniform=uniform),
            N_("the logits are confidently wrong: check the head, its scale and the tokenizer"),
            cost=loss - uniform,
        )


@torch.no_grad()
def _exchanged(s: Subject) -> Iterator[Problem]:
    """Look for tokens that are predicted in place of each other: a shifted or exchanged vocabulary."""
    if s.is_fresh and s.initial_loss < 1.2 * math.log(s.n_vocab):
        raise Skip(N_("the model has not learned yet"))
    batch = s.data.rows(slice(0, 32))
    p = s.logits(batch=batch).flatten(0, 1).float().softmax(-1)
    targets = batch.targets.flatten()
    p, targets = p[targets != IGNORE], targets[targets != IGNORE]
    tokens, counts = targets.unique(return_counts=True)
    often = tokens[counts >= 8]
    if len(often) < 4:
        raise Skip(N_("the batch has too few repeated tokens"))
    mean = torch.stack([p[targets == t].mean(0) for t in often])  # (n, V)
    favored = mean.argmax(-1)
    pairs = {int(t): int(f) for t, f in zip(often, favored, strict=True)}
    crossed = [(a, b) for a, b in pairs.items() if a < b and pairs.get(b) == a]
    shifts = [b - a for a, b in pairs.items() if a != b]
    shift = max(set(shifts), key=shifts.count, default=0)
    if len(crossed) >= 2:
        yield Problem(
            "embedding",
            N_("tokens are exchanged"),
            N_("{n} pairs are predicted in place of each other", n=len(crossed)),
            N_("use the tokenizer and the embedding rows that the model was trained with"),
        )
    elif shift and shifts.count(shift) > 0.4 * len(pairs) and len(set(favored.tolist())) > 0.3 * len(pairs):
        yield Problem(
            "output",
            N_("logits are shifted against the tokens"),
            N_(
                "{share:.0%} of the tokens are predicted {k:+d} away",
                share=shifts.count(shift) / len(pairs),
                k=shift,
            ),
            N_("use the tokenizer that the model was trained with"),
        )


TARGET = Check(
    N_("target of the loss"), N_("the next token"), N_("the gradient at the logits shows it"), _target
)
AVERAGE = Check(
    N_("mean of the loss"),
    N_("weights of the targets add up to 1"),
    N_("a sum changes the step with the size of the batch"),
    _average,
)
VALUE = Check(
    N_("value of the loss"),
    N_("cross-entropy of the logits"),
    N_("others are not comparable"),
    partial(_value),
)
INITIAL = Check(
    N_("loss at the start"),
    N_("about ln V + σ²/2, or less"),
    N_("random logits of variance σ² cost this much"),
    _initial,
)
EXCHANGED = Check(
    N_("tokenizer"),
    N_("each token is predicted as itself"),
    N_("a shifted vocabulary names the wrong tokens"),
    _exchanged,
)
CHECKS = (TARGET, AVERAGE, VALUE, INITIAL)
