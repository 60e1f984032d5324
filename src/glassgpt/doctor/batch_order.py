"""Checks of the order of batches: no row comes twice too soon, and rows are shuffled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from glassgpt.data import Batch
from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

MIN_TOKENS = 8
"""Shortest row of running text that is no chance."""
MIN_ALIKE = 4
"""Rows of the smallest batch in which equal ones are no chance."""
CONTINUES = 0.8
"""Share of rows that begin where the row before ends, above which a text is read in its order."""
MIN_ROWS = 12
SORTED = 0.9
"""Share of neighbors with one class, above which rows are sorted by class."""


def _repeated(s: Subject) -> Iterator[Problem]:
    """Look for rows of one batch in another one, and for rows that fill a batch."""
    rows = [_hashes(batch) for batch in _batches(s)]
    if any(a == b for i, a in enumerate(rows) for b in rows[:i]):
        n = sum(a in rows[:i] for i, a in enumerate(rows))
        yield Problem(
            "data",
            N_("a batch comes twice"),
            N_("{n} of {of} batches are those of an earlier step", n=n, of=len(rows)),
            N_("advance the sampler at each step, and give each process and epoch a seed of its own"),
        )
        return
    alike = [len(set(each)) for each in rows if len(each) > 1]
    if alike and all(n == 1 for n in alike):
        yield Problem(
            "data",
            N_("all rows of a batch are equal"),
            N_("in {n} batches", n=len(alike)),
            N_("draw a place for each row"),
        )


def _equal_rows(s: Subject) -> Iterator[Problem]:
    """Count the different rows of the examined batch."""
    rows = _hashes(s.data)
    if len(rows) < MIN_ALIKE or s.data.tokens.shape[1] < MIN_TOKENS or not s.predicts_tokens:
        raise Skip(N_("the batch has too few rows"))
    if len(set(rows)) <= len(rows) / 2:
        yield Problem(
            "data",
            N_("rows of a batch are equal"),
            N_("{n} of {of} rows are different", n=len(set(rows)), of=len(rows)),
            N_("give each worker of the loader a seed of its own"),
            outcome="warn",
        )


def _order(s: Subject) -> Iterator[Problem]:
    """Check whether rows continue the row before them, or have its class: then they are not shuffled."""
    batches = _batches(s)
    if all(batch.targets.shape == batch.tokens.shape for batch in batches):
        pairs = [pair for batch in batches for pair in _continued(batch)]
        across = _across(batches)
        found = pairs if len(pairs) >= MIN_ROWS else []
        share = sum(found) / len(found) if found else 0.0
        lanes = sum(across) / len(across) if len(across) >= MIN_ROWS else 0.0
        if max(share, lanes) > CONTINUES:
            yield _in_order(
                N_("{share:.0%} of the rows begin where another one ends", share=max(share, lanes))
            )
        return
    classes = torch.cat([batch.targets[:, 0] for batch in batches])
    if len(classes) < MIN_ROWS or len(classes.unique()) < 2:
        raise Skip(N_("the batches have too few rows"))
    same = float((classes[1:] == classes[:-1]).float().mean())
    chance = float((classes.unique(return_counts=True)[1] / len(classes)).square().sum())
    if same > max(SORTED, (1 + chance) / 2):
        yield _in_order(N_("{share:.0%} of the rows have the class of the row before", share=same))


def _in_order(observed: str) -> Problem:
    return Problem(
        "data",
        N_("the rows are not shuffled"),
        observed,
        N_("shuffle the windows or examples again in each epoch"),
        outcome="warn",
    )


def _batches(s: Subject) -> Sequence[Batch]:
    if len(s.batches) < 2:
        raise Skip(N_("fewer than two batches were given"))
    return s.batches


def _hashes(batch: Batch) -> tuple[int, ...]:
    """Return a number for each row, with its source."""
    parts = [batch.tokens, batch.targets]
    if batch.source is not None and batch.source_of is None:
        parts.append(batch.source.flatten(1))
    return tuple(hash(tuple(row)) for row in torch.cat([p.long() for p in parts], 1).tolist())


def _continued(batch: Batch) -> list[bool]:
    """Return for each row after the first whether it begins with the last target of the row before."""
    if batch.tokens.shape[1] < MIN_TOKENS or batch.source is not None:
        return []
    return _follows(batch.tokens[1:], batch.targets[:-1])


def _across(batches: Sequence[Batch]) -> list[bool]:
    """Return for each row whether it continues the same row of the batch before."""
    found: list[bool] = []
    for before, batch in pairwise(batches):
        if before.tokens.shape == batch.tokens.shape and batch.source is None:
            found += _follows(batch.tokens, before.targets)
    return found


def _follows(tokens: Tensor, targets: Tensor) -> list[bool]:
    """Return for each row (T) of `tokens` whether the last target of its partner is its first token."""
    return (tokens[:, 0] == targets[:, -1]).tolist()


REPEATED = Check(
    N_("repeated batches"),
    N_("each batch is new"),
    N_("a batch that is seen twice is learned by heart"),
    _repeated,
)
ORDER = Check(
    N_("order of batches"),
    N_("rows are shuffled"),
    N_("neighbors are alike: a batch of them says little about the text"),
    _order,
)
EQUAL_ROWS = Check(
    N_("rows of the batch"),
    N_("most rows are different"),
    N_("a repeated row counts as several"),
    _equal_rows,
)
CHECKS = (EQUAL_ROWS, REPEATED, ORDER)
