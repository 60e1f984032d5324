"""Check of several processes: equal weights, different batches, and a step that keeps the weights equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_


def several_processes() -> bool:
    """True in a group of processes that train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _processes(s: Subject) -> Iterator[Problem]:
    """Compare fingerprints of weights and batch in all processes. Every process must call it."""
    if not several_processes():
        raise Skip(N_("there is one process only"))
    weights = [p.detach() for p in s.model.parameters()]
    if _differ(weights):
        yield Problem(
            "distributed",
            N_("the weights differ between processes"),
            N_("before a step"),
            N_("broadcast the weights of the first process, or give each the same seed"),
        )
    if not _differ([s.data.tokens]):
        yield Problem(
            "distributed",
            N_("every process has the same batch"),
            N_("equal tokens in {n} processes", n=dist.get_world_size()),
            N_("give each process its own part of each batch"),
        )
    if s.train_step is None:
        return
    s.train_step(s.model, s.batch)
    if _differ(weights):
        yield Problem(
            "distributed",
            N_("the step takes the processes apart"),
            N_("the weights differ after one step"),
            N_("average the gradients over all processes before the optimizer's step"),
        )


def _differ(tensors: Iterable[Tensor]) -> bool:
    """Return True if these tensors are not the same in all processes; the same answer everywhere."""
    own = torch.stack([_fingerprint(each) for each in tensors])  # (n, 2)
    low, high = own.clone(), own.clone()
    dist.all_reduce(low, dist.ReduceOp.MIN)
    dist.all_reduce(high, dist.ReduceOp.MAX)
    return bool((high - low).abs().max() > 1e-9 * (1 + high.abs().max()))


def _fingerprint(tensor: Tensor) -> Tensor:
    """Return a sum and a weighted sum of a tensor: (2,), float64."""
    flat = tensor.flatten().double()
    at = torch.arange(1, len(flat) + 1, device=flat.device, dtype=torch.float64)
    return torch.stack([flat.sum(), (flat * at.sqrt()).sum()])


PROCESSES = Check(
    N_("processes"),
    N_("equal weights, different batches"),
    N_("several processes train one model"),
    _processes,
)
CHECKS = (PROCESSES,)
