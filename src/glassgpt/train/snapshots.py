"""Snapshots, the weights at several steps of a training: how many, and the observer that keeps them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from glassgpt.checkpoint import (
    Run,
    planned_layout,
    remove_partial_snapshots,
    remove_snapshot,
    save_snapshot,
    snapshot_steps,
    weights,
)
from glassgpt.config import Layer, RunConfig
from glassgpt.errors import UserError
from glassgpt.models import Model
from glassgpt.train.events import Evaluated
from glassgpt.train.observers import Observer

DEFAULT_SNAPSHOTS = 24
"""Snapshots of a small model."""
MAX_BYTES = 200_000_000
"""Disk space for the snapshots of a run, where their number is not given."""
MIN_SNAPSHOTS = 6
"""Fewer would show no learning: a large model has none."""
MAX_SHARE = 0.03
"""Time for snapshots as a share of the training's: one that is due waits until it fits."""
SMALL_BYTES = 2_000_000
"""A snapshot of at most this size is written in milliseconds and does not wait."""
USUAL_VOCAB = 512
"""Tokens of a vocabulary of characters or bytes, before it is known."""


def snapshots_layer(config: RunConfig, n_vocab: int | None = None) -> Layer:
    """Return the number of snapshots that fits the size of a model, for a run that does not give it.

    n_vocab: tokens of the vocabulary; an estimate before there is a tokenizer.

    >>> snapshots_layer(RunConfig.of(size="micro")).tables, snapshots_layer(RunConfig.of(size="small")).tables
    ({'train': {'snapshots': 24}}, {'train': {'snapshots': 0}})
    """
    if n_vocab is None:
        n_vocab = config.tokenizer.vocab_size if config.tokenizer.kind == "bpe" else USUAL_VOCAB
    try:
        shapes = planned_layout(config.model, n_vocab).shapes
    except UserError:  # no model can have this size: the check of memory says so
        return Layer("size", {"train": {"snapshots": 0}})
    n = min(DEFAULT_SNAPSHOTS, MAX_BYTES // (2 * sum(map(math.prod, shapes.values()))))
    return Layer("size", {"train": {"snapshots": n if n >= MIN_SNAPSHOTS else 0}})


class Snapshots(Observer):
    """Keeps up to n snapshots, spread over the logarithm of the step: the first, the newest, some between."""

    def __init__(self, run: Run, n: int) -> None:
        self.run, self.n = run, n
        self.growth = 1 + 6 / n
        """The next snapshot is due after so many times the steps: learning is fast at first."""
        self.steps: list[int] | None = None
        self._began, self._seconds, self._n_bytes = time.monotonic(), 0.0, 0
        remove_partial_snapshots(run)

    def on_gradients(self, step: int, model: Model) -> None:
        """Save the weights before the first step; forget what a resumed run will do again."""
        if self.steps is not None:
            return
        found = snapshot_steps(self.run)
        for later in [each for each in found if each >= step]:
            remove_snapshot(self.run, later)
        self.steps = [each for each in found if each < step]
        if step == 1:
            self._save(0, model)

    def on_update(self, step: int, model: Model) -> None:
        """Save the weights if a snapshot is due."""
        if self.steps is None or step < (self.steps[-1] if self.steps else 0) * self.growth:
            return
        if self._n_bytes <= SMALL_BYTES or self._seconds <= MAX_SHARE * (time.monotonic() - self._began):
            self._save(step, model)

    def on_evaluation(self, event: Evaluated, model: Model) -> None:
        """Save the weights whose loss was measured, the last ones included."""
        if self.steps is not None:
            self._save(event.step, model)

    def _save(self, step: int, model: Model) -> None:
        assert self.steps is not None
        if step in self.steps:
            return
        began, state = time.monotonic(), weights(model)
        self._n_bytes = 2 * sum(each.numel() for each in state.values())
        save_snapshot(self.run, step, state)
        self.steps.append(step)
        while len(self.steps) > self.n:
            remove_snapshot(self.run, self.steps.pop(least_needed(self.steps)))
        self._seconds += time.monotonic() - began


def least_needed(steps: Sequence[int]) -> int:
    """Return the index of the step whose neighbours are closest, by ratio; not the first or last of several.

    >>> least_needed([0, 1, 2, 3, 8, 16])
    2
    """
    if len(steps) < 3:
        return 0
    gaps = [math.log((after + 1) / (before + 1)) for before, after in zip(steps, steps[2:], strict=False)]
    return 1 + gaps.index(min(gaps))
