"""What one training step costs, in counts that do not depend on the machine: it must not grow unnoticed.

Where a change makes a step dearer and is worth it, write its figures here and the reason into the commit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from glassgpt.config import RunConfig
from glassgpt.train import StepDone, start

MODEL = {"n_layer": 2, "n_embd": 64, "n_head": 4, "block_size": 64}


class Cost(NamedTuple):
    """Of one step: floating point operations of matrix products, kernels called, bytes newly allocated."""

    flops: int
    kernels: int
    n_bytes: int


LIMITS = {
    "gpt2": Cost(448_528_384, 335, 23_879_517),
    "modern": Cost(475_791_360, 447, 27_998_997),
    "speedrun": Cost(475_791_360, 499, 31_921_949),
}


class Counter(TorchDispatchMode):
    """Counts what reaches the kernels, and the memory that their results take."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.n_bytes = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {_storage(t) for t in tree_leaves((args, kwargs or {})) if _has_storage(t)}
        out = func(*args, **(kwargs or {}))
        made = {_storage(t): t.untyped_storage().nbytes() for t in tree_leaves(out) if _has_storage(t)}
        new = {address: n for address, n in made.items() if address not in given}
        self.n_bytes += sum(new.values())
        self.kernels += bool(new) or func._schema.is_mutable  # else it only looks at memory in another way
        return out


def _has_storage(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.layout == torch.strided


def _storage(t: torch.Tensor) -> int:
    return t.untyped_storage().data_ptr()


def cost(preset: str, folder: Path) -> Cost:
    """Of the third step of a real trainer."""
    (folder / "text.txt").write_text("".join(f"{i} geese and {i * 7 % 31} swans.\n" for i in range(400)))
    config = RunConfig.model_validate(
        {
            "data": {"sources": [str(folder / "text.txt")]},
            "model": MODEL | {"preset": preset, "ngram_rows": 4096},
            "train": {"steps": 10, "micro_batch_size": 8, "device": "cpu"},
        }
    )
    session = start(config, folder / "run")
    for _ in range(2):
        assert [type(event) for event in session.trainer.train_step()] == [StepDone]
    flops, counter = FlopCounterMode(display=False), Counter()
    with flops, counter:
        list(session.trainer.train_step())
    session.close()
    return Cost(flops.get_total_flops(), counter.kernels, counter.n_bytes)


@pytest.mark.parametrize("preset", LIMITS)
def test_a_step_costs_no_more_than_it_did(preset: str, tmp_path: Path) -> None:
    now, limit = cost(preset, tmp_path), LIMITS[preset]
    assert now.flops <= limit.flops, f"{now.flops:,} floating point operations a step, {limit.flops:,} before"
    assert now.kernels <= limit.kernels, f"{now.kernels:,} kernels a step, {limit.kernels:,} before"
    assert now.n_bytes <= 1.02 * limit.n_bytes, f"{now.n_bytes:,} bytes a step, {limit.n_bytes:,} before"
