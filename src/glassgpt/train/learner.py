"""Gradient, optimizer step and evaluation of one model.

It knows no clock, no schedule and no disk: trainer.py decides when to take a step and what to save.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from glassgpt.config import RunConfig
from glassgpt.data import IGNORE, Batch
from glassgpt.device import autocast, choose_device, choose_dtype
from glassgpt.errors import UserError
from glassgpt.models import Model, build
from glassgpt.objective import CrossEntropy, Measured, evaluate
from glassgpt.tasks import TaskData
from glassgpt.train.optim import clip_gradients, current_lrs, make_optimizers, set_lr
from glassgpt.train.parallel import (
    Dist,
    Tensors,
    deal_batches,
    full_state,
    load_full_state,
    load_initial,
    parallelize,
    replicas_differ,
    sum_gradients,
)

CHUNK_TOKENS = 2048
"""Tokens per forward pass on a CPU: enough for its matrix products to reach full speed.

Larger tensors come from the operating system page by page each time, which takes longer than filling them.
"""


class GradientStats(NamedTuple):
    """Loss and gradient norm of one step.

    loss: mean over n_tokens, in nats per token, without label smoothing. norm: before clipping.
    """

    loss: float
    n_tokens: int
    norm: float

    @property
    def is_finite(self) -> bool:
        """True if the weights may follow this gradient."""
        return math.isfinite(self.norm)


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed torch's generator for a step: its dropout follows from (seed, step, rank) alone."""
    torch.manual_seed((seed * 1_000_003 + step + rank * 0x9E3779B97F4A7C15) % 2**63)


def make_learner(config: RunConfig, n_vocab: int, dist: Dist | None = None) -> Learner:
    """Build a model with its loss and its optimizers.

    Depends on the configuration and its seed alone: equal configurations give equal weights. Raises UserError
    if the device is not available.
    """
    dist = dist or Dist()
    device = choose_device(config.train.device, dist.local_rank)
    torch.manual_seed(config.train.seed)
    model = parallelize(build(config.model, n_vocab).to(device), dist)
    objective = CrossEntropy(model, config.train.label_smoothing)
    optimizers = make_optimizers(model, config.optim)
    if config.train.compile:
        objective.compile()
    return Learner(config, objective, optimizers, dist)


class Learner:
    """A model with its objective and its optimizers.

    `make_learner` makes the one of a configuration. With several processes, each computes the gradient of its
    shard of every batch.
    """

    def __init__(
        self, config: RunConfig, objective: CrossEntropy, optimizers: dict[str, Optimizer], dist: Dist
    ) -> None:
        self.config, self.objective, self.optimizers, self.dist = config, objective, optimizers, dist
        self.device = objective.model.device
        self.dtype = choose_dtype(config.train.dtype, self.device)

    @property
    def model(self) -> Model:
        """The model being trained."""
        return self.objective.model

    @property
    def lrs(self) -> dict[str, float]:
        """Learning rate of each optimizer in the last step."""
        return current_lrs(self.optimizers)

    def load_initial(self, tensors: dict[str, Tensor]) -> None:
        """Start from these weights; parameters that they lack (adapters) keep their own."""
        load_initial(self.model, tensors)

    def backward(self, batches: list[Batch]) -> GradientStats:
        """Compute the gradient of the mean loss over all batches, forward and backward.

        Leaves it in each `p.grad`, clipped to `grad_clip`. Raises UserError if a batch has fewer rows than
        there are processes.
        """
        n_tokens = sum(int((batch.targets != IGNORE).sum()) for batch in batches)
        total = torch.zeros((), device=self.device)
        for chunk in (chunk for batch in batches for chunk in self._chunks(self._shard(batch))):
            with autocast(self.device, self.dtype):
                loss = self.objective(chunk.to(self.device))
            (loss.total / n_tokens).backward()
            total += loss.nats
        sum_gradients(self.model, total, self.dist)
        norm = clip_gradients(self.model.parameters(), self.config.optim.grad_clip)
        return GradientStats(total.item() / n_tokens, n_tokens, norm)

    def optimizer_step(self, lr_scale: float) -> None:
        """Update the weights and delete the gradient.

        lr_scale: share of the peak learning rates.
        """
        set_lr(self.optimizers, lr_scale)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.zero_grad()

    def zero_grad(self) -> None:
        """Delete the gradient."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def measure(self, task: TaskData, stride: int = 1) -> Measured:
        """Measure this process's share of the loss on every `stride`-th batch of the validation split.

        `add_shares` adds the shares; with one process the share is the whole.
        """
        batches = deal_batches(task.eval_part(stride), self.dist)
        measured = self.measure_batches(batches, count_correct=task.has_answers)
        pairs = [*task.context_pairs(stride)]
        alone, continued = (self.measure_batches([pair[i] for pair in pairs]) for i in (0, 1))
        return measured._replace(saved_nats=alone.nats - continued.nats, n_saved=alone.n_tokens)

    def measure_batches(self, batches: Iterable[Batch], *, count_correct: bool = False) -> Measured:
        """Measure the loss of batches in the precision of training."""
        with autocast(self.device, self.dtype):
            return evaluate(self.model, batches, count_correct=count_correct)

    def measure_each(self, batches: Iterable[Batch]) -> list[Measured]:
        """Measure each batch by itself; batches without targets are left out."""
        measured = (self.measure_batches([batch]) for batch in batches)
        return [each for each in measured if each.n_tokens]

    def add_shares(self, share: Measured) -> Measured:
        """Add the measurements of all processes."""
        sums = torch.tensor(share, dtype=torch.float64)  # (fields of Measured,)
        self.dist.all_reduce_sum([sums])
        nats, n_tokens, n_correct, n_rows, saved_nats, n_saved = sums.tolist()
        return Measured(nats, int(n_tokens), int(n_correct), int(n_rows), saved_nats, int(n_saved))

    def replicas_differ(self) -> bool:
        """Return True if the processes' weights are no longer equal."""
        return replicas_differ(self.model, self.dist)

    def tensors(self) -> Tensors:
        """Return everything that training changes, as in a checkpoint; called by every process."""
        return full_state(self.model, self.optimizers)

    def load(self, tensors: Tensors) -> None:
        """Restore the result of `tensors`. Raises CorruptCheckpoint unless it fits the model exactly."""
        load_full_state(self.model, self.optimizers, tensors)

    def _shard(self, batch: Batch) -> Batch:
        """Return this process's rows of a batch."""
        if self.dist.world_size == 1:
            return batch
        rows = self.dist.shard(len(batch.tokens))
        if rows.start == rows.stop:
            raise UserError(
                "a batch of {n_tokens} rows: too small for {world_size} processes. Raise "
                "`micro_batch_size`, or start fewer processes.",
                n_tokens=len(batch.tokens),
                world_size=self.dist.world_size,
            )
        return batch.rows(rows)

    def _chunks(self, batch: Batch) -> Iterator[Batch]:
        """Split a large batch by rows on a CPU.

        That takes less RAM and keeps caches warm. Batches with a source stay whole: rows may share a source,
        which each chunk would encode again.
        """
        B, T = batch.tokens.shape
        if self.device.type != "cpu" or batch.source is not None or B * T <= CHUNK_TOKENS:
            yield batch
            return
        n = min(B, -(-B * T // CHUNK_TOKENS))
        for i in range(n):
            yield batch.rows(slice(i * B // n, (i + 1) * B // n))
