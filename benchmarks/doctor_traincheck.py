"""Silent faults of training from TrainCheck (OSDI '25), ported by their mechanism to small models on a CPU.

TrainCheck finds 18 of 20 within one step, next to the trace of a good run. Here nothing but the
faulty training itself is given: `examine(model, batch, loss=, train_step=, optimizer=)`, before its first
step. Two or three mechanisms need two processes (gloo). Left out: faults of text generation, of expert
parallelism and of one compiler.
"""

# Bugs change models in ways that types forbid.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from doctor_cases import V, batch_of, cross_entropy
from doctor_llama import LlamaConfig, SmallLlama
from glassgpt.diagnose import Examination
from glassgpt.doctor import examine

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Mechanism:
    """A silent fault: where it was reported, and the visit, which returns (category, cause, observed)."""

    name: str
    what: str
    categories: frozenset[str]
    causes: frozenset[str]
    visit: Callable[[bool], list[list[str]]]
    """Examine the mutant, or with False its healthy twin."""


MECHANISMS: list[Mechanism] = []


def mechanism(
    name: str, what: str, categories: set[str], causes: set[str]
) -> Callable[[Callable[[bool], list[list[str]]]], None]:
    def add(visit: Callable[[bool], list[list[str]]]) -> None:
        MECHANISMS.append(Mechanism(name, what, frozenset(categories), frozenset(causes), visit))

    return add


def llama() -> SmallLlama:
    torch.manual_seed(5)
    return SmallLlama(LlamaConfig(vocab_size=V))


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    return cross_entropy(model(batch[0]).logits, batch[1])


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-3)


def named(found: Examination) -> list[list[str]]:
    return [[each.category, each.cause, str(each.observed)] for each in found.problems]


def train(
    model: nn.Module, step: Callable[[nn.Module, Batch], None], optimizer: Any, batch: Batch | None = None
) -> list[list[str]]:
    batch = batch or batch_of(3)
    return named(examine(model, batch, loss=loss_of, train_step=step, optimizer=optimizer))


def plain_step(optimizer: torch.optim.Optimizer) -> Callable[[nn.Module, Batch], None]:
    def step(model: nn.Module, batch: Batch) -> None:
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()

    return step


@mechanism(
    "pytorch-forum-84911",
    "all layers are frozen but the norms",
    {"optimizer", "learning", "projections", "attention", "mlp", "embedding"},
    {"parameters are frozen", "most parameters are frozen"},
)
def frozen_but_the_norms(buggy: bool) -> list[list[str]]:
    model = llama()
    for name, p in model.named_parameters():
        p.requires_grad_(not buggy or "norm" in name)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    return train(model, plain_step(optimizer), optimizer)


@mechanism("stackoverflow-60335387", "zero_grad() is missing", {"optimizer"}, {"gradients are not zeroed"})
def zero_grad_is_missing(buggy: bool) -> list[list[str]]:
    model = llama()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(model: nn.Module, batch: Batch) -> None:
        loss_of(model, batch).backward()
        optimizer.step()
        if not buggy:
            optimizer.zero_grad()

    return train(model, step, optimizer)


@mechanism(
    "pytorch-51800",
    "a weight is normalized in the forward pass of training, and by something else in evaluation",
    {"mlp", "normalization", "residual", "dropout", "attention scores"},
    {"training and evaluation compute different things", "random besides dropout"},
)
def lazily_normalized_weight(buggy: bool) -> list[list[str]]:
    model = llama()
    for block in model.layers if buggy else ():
        block.mlp.up_proj = torch.nn.utils.spectral_norm(block.mlp.up_proj)
    optimizer = adamw(model)
    return train(model, plain_step(optimizer), optimizer)


@mechanism(
    "pytorch-115607",
    "the parameters to update are remembered from a step in which some had no gradient",
    {"optimizer"},
    {"parameters are missing from the optimizer", "the step does not move a parameter"},
)
def parameters_of_an_earlier_step(buggy: bool) -> list[list[str]]:
    model = llama()
    optimizer = adamw(model)
    model.layers.requires_grad_(not buggy)
    loss_of(model, batch_of(8)).backward()
    updated = [p for p in model.parameters() if p.grad is not None]
    model.requires_grad_(True)
    optimizer.zero_grad()

    def step(model: nn.Module, batch: Batch) -> None:
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        known = {id(p) for p in updated}
        for p in model.parameters():
            if id(p) not in known:
                p.grad = None
        optimizer.step()

    return train(model, step, optimizer)


@mechanism(
    "pytorch-84803",
    "a transfer loses data: a part of the gradients arrives as zeros",
    {"optimizer", "distributed"},
    {"the gradient is not that of the loss"},
)
def lost_in_transfer(buggy: bool) -> list[list[str]]:
    model = llama()
    optimizer = adamw(model)

    def step(model: nn.Module, batch: Batch) -> None:
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        for p in list(model.layers.parameters())[:8] if buggy else ():
            if p.grad is not None:
                p.grad.zero_()
        optimizer.step()

    return train(model, step, optimizer)


@mechanism(
    "transformers-17877",
    "weights are initialized again after they were set",
    {"optimizer", "learning"},
    {"the step is too large", "the step does not follow the gradient", "the step goes against the gradient"},
)
def initialized_again(buggy: bool) -> list[list[str]]:
    model = llama()
    optimizer = adamw(model)

    def init(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)

    def step(model: nn.Module, batch: Batch) -> None:
        if buggy:
            model.layers.apply(init)
        plain_step(optimizer)(model, batch)

    return train(model, step, optimizer)


@mechanism(
    "transformers-33844",
    "a fast attention drops weights in evaluation as well",
    {"dropout"},
    {"dropout is active in evaluation mode"},
)
def dropout_in_evaluation(buggy: bool) -> list[list[str]]:
    model = llama()
    model.config.attention_dropout = 0.1
    for block in model.layers if buggy else ():
        block.self_attn.weights = lambda scores: F.dropout(scores.softmax(-1), 0.1, True)
    optimizer = adamw(model)
    return train(model, plain_step(optimizer), optimizer)


@mechanism(
    "transformers-34204",
    "the collator returns one row for the whole batch",
    {"objective", "optimizer"},
    {"targets do not count", "the gradient is not that of the loss", "the step uses a part of the batch"},
)
def one_row_of_the_batch(buggy: bool) -> list[list[str]]:
    model = llama()
    optimizer = adamw(model)

    def step(model: nn.Module, batch: Batch) -> None:
        n = 1 if buggy else len(batch[0])
        plain_step(optimizer)(model, (batch[0][:n], batch[1][:n]))

    return train(model, step, optimizer)


@mechanism(
    "mmpretrain-702",
    "train() thaws the stages that the configuration freezes",
    {"optimizer", "learning"},
    {"frozen parameters move"},
)
def frozen_stages_thaw(buggy: bool) -> list[list[str]]:
    model = llama()
    model.embed_tokens.requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters() if buggy else [p for p in model.parameters() if p.requires_grad], lr=1e-3
    )

    def step(model: nn.Module, batch: Batch) -> None:
        model.train()
        if buggy:
            model.requires_grad_(True)
        plain_step(optimizer)(model, batch)

    return train(model, step, optimizer)


@mechanism(
    "stackoverflow-67180955",
    "every worker of the loader has the same seed: rows of a batch are the same",
    {"data"},
    {"all rows of a batch are equal", "rows of a batch are equal", "a batch comes twice"},
)
def workers_with_one_seed(buggy: bool) -> list[list[str]]:
    model = llama()
    optimizer = adamw(model)
    parts = [batch_of(3 if buggy else 3 + worker) for worker in range(4)]
    batch = tuple(torch.cat([part[i][:2] for part in parts]) for i in range(2))
    return train(model, plain_step(optimizer), optimizer, batch)


@mechanism(
    "lightning-thunder-725",
    "autocast is asked for, but the products of the MLP are in float32",
    {"numerics", "mlp"},
    {"computed in higher precision than asked", "a part ignores autocast", "precisions are mixed"},
)
def autocast_is_ignored(buggy: bool) -> list[list[str]]:
    model = llama()
    optimizer = adamw(model)
    for block in model.layers if buggy else ():
        old = block.mlp.forward

        def forward(x: Tensor, old: Callable[[Tensor], Tensor] = old) -> Tensor:
            with torch.autocast("cpu", enabled=False):
                return old(x.float())

        block.mlp.forward = forward

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(batch[0]).logits
        return cross_entropy(logits.float(), batch[1])

    def step(model: nn.Module, batch: Batch) -> None:
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()

    return named(examine(model, batch_of(3), loss=loss, train_step=step, optimizer=optimizer))


def unwrapped(model: nn.Module, wrapped: nn.Module, optimizer: Any, batch: Batch, buggy: bool) -> None:
    """x-jxmnop: the step trains the module inside DDP, so that no gradient is shared."""
    optimizer.zero_grad()
    loss_of(model if buggy else wrapped, batch).backward()
    optimizer.step()


def clipped_alone(model: nn.Module, wrapped: nn.Module, optimizer: Any, batch: Batch, buggy: bool) -> None:
    """deepspeed-1801: one process clips the gradients of the norms, the other does not."""
    optimizer.zero_grad()
    loss_of(wrapped, batch).backward()
    if not buggy or dist.get_rank() == 0:
        nn.utils.clip_grad_norm_([p for n, p in model.named_parameters() if "norm" in n], 1e-3)
    optimizer.step()


STEPS = {"unwrapped": unwrapped, "clipped alone": clipped_alone, "moved": clipped_alone}


def one_process(rank: int, name: str, buggy: bool, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    model = llama()
    wrapped = DistributedDataParallel(model)
    if name == "moved":  # pytorch-104336: tensors that DDP does not know take the place of the parameters
        for module in model.modules() if buggy else ():
            for key, p in list(module.named_parameters(recurse=False)):
                setattr(module, key, nn.Parameter(p.detach().clone()))
        take = unwrapped if buggy else clipped_alone
    else:
        take = STEPS[name]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(_: nn.Module, batch: Batch) -> None:
        take(model, wrapped, optimizer, batch, buggy)

    found = named(examine(model, batch_of(3 + rank), train_step=step, optimizer=optimizer))
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found), "utf-8")
    dist.barrier()
    dist.destroy_process_group()


def in_two_processes(name: str, buggy: bool) -> list[list[str]]:
    """Examine in both of two processes; return what the first one found."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        ranks = [
            context.Process(target=one_process, args=(rank, name, buggy, port, folder)) for rank in (0, 1)
        ]
        for each in ranks:
            each.start()
        for each in ranks:
            each.join(300)
            if each.is_alive():
                each.kill()
        return json.loads((Path(folder) / "0.json").read_text("utf-8"))


OUT_OF_SYNC = {"the weights differ between processes", "the step takes the processes apart"}
for _case, _name, _what in (
    ("x-jxmnop-ddp-out-of-sync", "unwrapped", "the step uses the module without DDP around it"),
    ("pytorch-104336", "moved", "the parameters were replaced after DDP had hooked them"),
    ("deepspeed-1801", "clipped alone", "one process clips what the other does not"),
):
    mechanism(_case, _what, {"distributed", "optimizer"}, OUT_OF_SYNC)(
        lambda buggy, name=_name: in_two_processes(name, buggy)
    )
