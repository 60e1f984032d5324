"""Data parallelism: several processes train one run, each on a shard of every batch.

torchrun starts the processes, on one machine or on many with a shared file system. The main process owns the
disk and the terminal; the others only compute. `Dist` alone reads RANK, and with one process nothing here has
an effect.

`parallelize` and the functions below it are the place for DDP or FSDP2. Today each process has the whole
model. Sharded weights have two limits: Muon needs whole matrices (optim.py), and the main process alone
generates a run's samples (`sample_tokens = 0` switches them off).
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
import torch.distributed as c10d
from torch import Tensor, nn
from torch.optim import Optimizer

from glassgpt.checkpoint import load_weights, weights
from glassgpt.data import Batch
from glassgpt.errors import UserError
from glassgpt.models import Model
from glassgpt.train.optim import load_state_tensors, state_tensors

BUCKET_BYTES = 32 << 20
"""Bytes of gradients per all-reduce: large enough for the network, small compared with the model."""
Tensors = dict[str, dict[str, Tensor]]
"""Tensors of a checkpoint, by file and name."""


@dataclass(frozen=True)
class Dist:
    """This process among all. Every process calls the same methods in the same order."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @classmethod
    def from_env(cls) -> Dist:
        """Read torchrun's environment variables and join the other processes; alone without torchrun."""
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        if world_size == 1:
            return cls()
        dist = cls(int(os.environ["RANK"]), world_size, int(os.environ.get("LOCAL_RANK", "0")))
        if not c10d.is_initialized():
            with dist._report_lost_process():
                c10d.init_process_group()  # gloo for tensors on a CPU, NCCL on a GPU
            atexit.register(c10d.destroy_process_group)
        return dist

    @property
    def is_main(self) -> bool:
        """True if this process owns the disk and the terminal."""
        return self.rank == 0

    def shard(self, n: int) -> slice:
        """Return this process's part of n rows.

        >>> [Dist(rank, 3).shard(8) for rank in range(3)]
        [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        return slice(self.rank * n // self.world_size, (self.rank + 1) * n // self.world_size)

    def all_reduce_sum(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over all processes.

        Buckets are laid out the same way each time, so the order of additions does not change by a resume.
        """
        if self.world_size == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([t.flatten() for t in bucket])  # (sum of all numel,)
            with self._report_lost_process():
                c10d.all_reduce(flat)
            for t, summed in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
                t.copy_(summed.view_as(t))  # (numel,) back to the shape of t

    def all_reduce_max(self, *numbers: float) -> list[float]:
        """Return the largest value of each number over all processes."""
        if self.world_size == 1:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64)
        with self._report_lost_process():
            c10d.all_reduce(tensor, c10d.ReduceOp.MAX)
        return tensor.tolist()

    def all_equal(self, number: float) -> bool:
        """Return True if all processes have the same number."""
        largest, smallest = self.all_reduce_max(number, -number)
        return largest == -smallest

    def broadcast_str(self, text: str) -> str:
        """Return the main process's text in every process."""
        if self.world_size == 1:
            return text
        data = torch.tensor(list(text.encode()), dtype=torch.uint8)
        n = torch.tensor([len(data)])
        with self._report_lost_process():
            c10d.broadcast(n, src=0)
            if not self.is_main:
                data = torch.zeros(int(n), dtype=torch.uint8)
            c10d.broadcast(data, src=0)
        return bytes(data.tolist()).decode()

    @contextmanager
    def _report_lost_process(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                "process {rank} of {world_size}: another process has ended or cannot be reached ({reason}). "
                "Saved checkpoints are complete: start all processes again to resume.",
                rank=self.rank + 1,
                world_size=self.world_size,
                reason=reason,
            ) from error


def parallelize(model: Model, dist: Dist) -> Model:
    """Prepare a new model for several processes; called between `build` and `make_optimizers`.

    Returns the model unchanged: each process has all weights. Wrap or shard it here.
    """
    return model


def sum_gradients(model: nn.Module, loss: Tensor, dist: Dist) -> None:
    """Sum gradients and loss over all processes, in place."""
    if dist.world_size == 1:
        return
    params = [p for p in model.parameters() if p.grad is not None]
    grads = [p.grad.to_dense() for p in params if p.grad is not None]
    dist.all_reduce_sum([*grads, loss])
    for p, grad in zip(params, grads, strict=True):
        p.grad = grad.to_sparse(1) if p.grad is not None and p.grad.is_sparse else grad


def full_state(model: Model, optimizers: dict[str, Optimizer]) -> Tensors:
    """Return all trained tensors and optimizer state, whole; called by every process.

    The only function that reads them for a checkpoint: gather shards here.
    """
    return {"model": weights(model), "optimizer": state_tensors(optimizers, model)}


def load_full_state(model: Model, optimizers: dict[str, Optimizer], tensors: Tensors) -> None:
    """Restore the result of `full_state`. Raises CorruptCheckpoint unless it fits the model exactly."""
    load_weights(model, tensors["model"])
    load_state_tensors(optimizers, model, tensors["optimizer"])


def load_initial(model: Model, tensors: dict[str, Tensor]) -> None:
    """Load initial weights, whole; parameters that they lack (adapters) keep their own."""
    load_weights(model, weights(model) | tensors)


@torch.no_grad()
def replicas_differ(model: nn.Module, dist: Dist) -> bool:
    """Return True if the processes' weights differ: different hardware rounds differently."""
    if dist.world_size == 1:
        return False
    as_bits = (p.contiguous().view(torch.int32) for p in model.parameters())  # same shape (float32 weights)
    total = sum(int(bits.sum()) for bits in as_bits)
    return not dist.all_equal(total % 2**52)  # an integer that float64 holds exactly


def deal_batches(batches: Iterable[Batch], dist: Dist) -> Iterator[Batch]:
    """Yield this process's share of batches; every process gets the same number.

    Forward passes of sharded models wait for each other. Where the last batches are too few, a process gets a
    batch without rows.
    """
    waiting = iter(batches)
    while group := list(islice(waiting, dist.world_size)):
        yield group[dist.rank] if dist.rank < len(group) else group[0].rows(slice(0, 0))


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """Group neighbors of one dtype, up to BUCKET_BYTES or one larger tensor."""
    bucket: list[Tensor] = []
    for t in tensors:
        full = sum(each.nbytes for each in bucket) + t.nbytes > BUCKET_BYTES
        if bucket and (full or t.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(t)
    if bucket:
        yield bucket
