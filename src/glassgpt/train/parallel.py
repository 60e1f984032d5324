"""Several processes that train one run together, each on its share of every batch.

Started by torchrun, on one machine or many that share a file system. The first process has the disk and the
terminal; the others only compute. Nothing else reads RANK, and with one process nothing here does anything.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as c10d
from torch import Tensor

from glassgpt.errors import UserError

CHUNK_BYTES = 32 << 20
"""Of gradients that travel together: large enough for the network, small beside the model."""


@dataclass(frozen=True)
class Dist:
    """Which process this is, of how many; every method is called by all of them, in the same order."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @classmethod
    def from_env(cls) -> Dist:
        """What torchrun says; alone without it. Meets the other processes when first called."""
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        if world_size == 1:
            return cls()
        dist = cls(int(os.environ["RANK"]), world_size, int(os.environ.get("LOCAL_RANK", "0")))
        if not c10d.is_initialized():
            with dist._together():
                c10d.init_process_group()  # gloo for what is on a CPU, NCCL for what is on a GPU
            atexit.register(c10d.destroy_process_group)
        return dist

    @property
    def is_main(self) -> bool:
        """Whether this process has the disk and the terminal."""
        return self.rank == 0

    def shard(self, n: int) -> slice:
        """This process's part of n rows.

        >>> [Dist(rank, 3).shard(8) for rank in range(3)]
        [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        return slice(self.rank * n // self.world_size, (self.rank + 1) * n // self.world_size)

    def all_reduce_sum(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over all processes.

        The tensors are laid out anew each time and in the same way, so that equal numbers are added in equal
        order, before a resume and after it.
        """
        if self.world_size == 1:
            return
        for chunk in _chunks(tensors):
            flat = torch.cat([t.flatten() for t in chunk])
            with self._together():
                c10d.all_reduce(flat)
            for t, summed in zip(chunk, flat.split([t.numel() for t in chunk]), strict=True):
                t.copy_(summed.view_as(t))

    def all_reduce_max(self, *numbers: float) -> list[float]:
        """The largest of each number over all processes."""
        if self.world_size == 1:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64)
        with self._together():
            c10d.all_reduce(tensor, c10d.ReduceOp.MAX)
        return tensor.tolist()

    def all_equal(self, number: float) -> bool:
        """Whether all processes have the same number."""
        largest, smallest = self.all_reduce_max(number, -number)
        return largest == -smallest

    def broadcast_str(self, text: str) -> str:
        """What the first process says, whatever this one does."""
        if self.world_size == 1:
            return text
        words = torch.tensor(list(text.encode()), dtype=torch.uint8)
        n = torch.tensor([len(words)])
        with self._together():
            c10d.broadcast(n, src=0)
            if not self.is_main:
                words = torch.zeros(int(n), dtype=torch.uint8)
            c10d.broadcast(words, src=0)
        return bytes(words.tolist()).decode()

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"process {self.rank + 1} of {self.world_size}: another one has ended, or cannot be reached "
                f"({reason}); what was saved is whole: start all of them again with `glassgpt resume`"
            ) from error


def _chunks(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbors of one type together, up to CHUNK_BYTES or one tensor that has more."""
    chunk: list[Tensor] = []
    for t in tensors:
        full = sum(each.nbytes for each in chunk) + t.nbytes > CHUNK_BYTES
        if chunk and (full or t.dtype != chunk[0].dtype):
            yield chunk
            chunk = []
        chunk.append(t)
    if chunk:
        yield chunk
