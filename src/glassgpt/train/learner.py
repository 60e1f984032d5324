"""One optimizer step at a time: a model, its loss, and what follows the gradient. It knows no clock, no disk.

Of several processes each has the whole model and a share of every batch; their gradients are added up.

When a step is taken, at which rate, and what is kept of it, is trainer.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from glassgpt.checkpoint import load_weights, weights
from glassgpt.config import RunConfig
from glassgpt.data import IGNORE, Batch
from glassgpt.device import autocast, choose_device, choose_dtype
from glassgpt.errors import UserError
from glassgpt.models import build
from glassgpt.objective import CrossEntropy, n_correct
from glassgpt.tasks import TaskData
from glassgpt.train.optim import load_state_tensors, make_optimizers, set_lr, state_tensors
from glassgpt.train.parallel import Dist

Tensors = dict[str, dict[str, Tensor]]
"""What a checkpoint holds, by file and name."""

PART_TOKENS = 2048
"""Tokens that a CPU takes at once: enough for its matrix products to be at their fastest. The tensors of more
come from the operating system page by page each time, which takes longer than filling them."""


class GradientStats(NamedTuple):
    """A step's mean loss in nats, the tokens that it is the mean of, the norm of its gradient."""

    loss: float
    n_tokens: int
    norm: float

    @property
    def is_finite(self) -> bool:
        """Whether the weights may take it."""
        return math.isfinite(self.norm)


class Measured(NamedTuple):
    """The cost of a validation split in nats; where it has answers, the share that is right."""

    nats: float
    exact: float | None


class Learner:
    """Built from the configuration and its seed alone: equal configurations begin with equal weights."""

    def __init__(self, config: RunConfig, n_vocab: int, dist: Dist) -> None:
        self.config, self.dist = config, dist
        self.device = choose_device(config.train.device, dist.local_rank)
        self.dtype = choose_dtype(config.train.dtype, self.device)
        torch.manual_seed(config.train.seed)
        self.model = build(config.model, n_vocab).to(self.device)
        self.objective = CrossEntropy(self.model, config.train.label_smoothing)
        self.optimizers = make_optimizers(self.model, config.optim)
        if config.train.compile:
            self.objective.compile()

    def load_initial(self, tensors: dict[str, Tensor]) -> None:
        """Begin with these weights; what they do not name (adapters) keeps its own."""
        load_weights(self.model, weights(self.model) | tensors)

    def gradient(self, batches: list[Batch]) -> GradientStats:
        """Leave the gradient of the mean loss over all batches in the parameters, clipped."""
        n_tokens = sum(int((batch.targets != IGNORE).sum()) for batch in batches)
        total = torch.zeros((), device=self.device)
        for part in (part for batch in batches for part in self._parts(self._share(batch))):
            with autocast(self.device, self.dtype):
                loss = self.objective(part.to(self.device)).total / n_tokens
            loss.backward()
            total += loss.detach()
        self._add_up(total)
        return GradientStats(total.item(), n_tokens, self._clip())

    def _add_up(self, total: Tensor) -> None:
        """Of several processes, add up the gradients and the loss."""
        if self.dist.world_size == 1:
            return
        params = [p for p in self.model.parameters() if p.grad is not None]
        grads = [p.grad.to_dense() for p in params if p.grad is not None]  # only these travel
        self.dist.all_reduce_sum([*grads, total])
        for p, grad in zip(params, grads, strict=True):
            p.grad = grad.to_sparse(1) if p.grad is not None and p.grad.is_sparse else grad

    def optimizer_step(self, lr_scale: float) -> None:
        """Let the weights follow the gradient, at a share of the peak rates."""
        set_lr(self.optimizers, lr_scale)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.zero_grad()

    def zero_grad(self) -> None:
        """Forget the gradient."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def measure(self, task: TaskData) -> Measured:
        """The loss on the task's whole validation split, without dropout."""
        self.objective.eval()
        nats, right, n = 0.0, 0, 0
        for batch in islice(task.eval_batches(), self.dist.rank, None, self.dist.world_size):
            batch = batch.to(self.device)
            with autocast(self.device, self.dtype):
                logits = self.objective.logits(batch)
                nats += self.objective.loss(logits, batch.targets).total.item()
            if task.has_answers:
                right += n_correct(logits, batch.targets)
                n += len(batch.targets)
        self.objective.train()
        if self.dist.world_size > 1:
            summed = torch.tensor([nats, right, n], dtype=torch.float64)
            self.dist.all_reduce_sum([summed])
            nats, right, n = summed.tolist()
        return Measured(nats, right / n if n else None)

    @torch.no_grad()
    def time_one_batch(self, batch: Batch) -> int:
        """One forward pass, as an evaluation has many; returns the number of tokens that it predicted."""
        with autocast(self.device, self.dtype):
            return int(self.objective(batch.to(self.device)).n_tokens)

    @torch.no_grad()
    def replicas_differ(self) -> bool:
        """Whether the weights of the processes have become different: other hardware rounds otherwise."""
        if self.dist.world_size == 1:
            return False
        total = sum(int(p.contiguous().view(torch.int32).sum()) for p in self.model.parameters())
        return not self.dist.all_equal(total % 2**52)  # what a float64 holds exactly

    def tensors(self) -> Tensors:
        """All that learning has changed, as a checkpoint keeps it."""
        return {"model": weights(self.model), "optimizer": state_tensors(self.optimizers, self.model)}

    def load(self, tensors: Tensors) -> None:
        """Put back what `tensors` took out. Raises CorruptCheckpoint unless it fits the model exactly."""
        load_weights(self.model, tensors["model"])
        load_state_tensors(self.optimizers, self.model, tensors["optimizer"])

    def _share(self, batch: Batch) -> Batch:
        if self.dist.world_size == 1:
            return batch
        rows = self.dist.shard(len(batch.tokens))
        if rows.start == rows.stop:
            raise UserError(
                f"a batch of {len(batch.tokens)} cannot be split among {self.dist.world_size} processes: "
                "give a larger --batch-size, or start fewer"
            )
        return batch.rows(rows)

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        """On a CPU a large batch goes through the model in parts: less memory, and what there is stays warm.

        Not where several rows are about one source, which would have to be encoded in each part.
        """
        B, T = batch.tokens.shape
        if self.device.type != "cpu" or batch.source is not None or B * T <= PART_TOKENS:
            yield batch
            return
        n = min(B, -(-B * T // PART_TOKENS))
        for i in range(n):
            yield batch.rows(slice(i * B // n, (i + 1) * B // n))

    def _clip(self) -> float:
        """Scale all gradients so that their norm is within the limit; returns the norm before.

        Those of rows are not scaled: SparseRMSprop divides them by their size anyway.
        """
        limit = self.config.optim.grad_clip
        foreach = True if self.device.type in ("cpu", "cuda") else None  # mps has no such kernels
        values, scaled = [], []
        for p in self.model.parameters():
            if p.grad is not None and p.grad.is_sparse:
                p.grad = p.grad.coalesce()
                values.append(p.grad.values())
            elif p.grad is not None:
                values.append(p.grad)
                scaled.append(p)
        norm = torch.nn.utils.get_total_norm(values, foreach=foreach)
        if limit and norm > limit:  # most steps need no scaling, and a pass over all gradients is not free
            torch.nn.utils.clip_grads_with_norm_(scaled, limit, norm, foreach=foreach)
        return norm.item()
