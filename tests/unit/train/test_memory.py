"""A memory that is too small: said before training where it can be known, and named where it runs out."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.ram import is_out_of_memory
from glassgpt.train import memory, start
from glassgpt.train.memory import estimate_memory

TEXT = "".join(f"{i} geese, {i * 7 % 31} swans, {i * i % 13} ducks ashore.\n" for i in range(300))
FULL = [
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you"
    ),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("std::bad_alloc"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


def config(folder: Path, **model: Any) -> RunConfig:
    (folder / "a.txt").write_text(TEXT)
    train = {"steps": 3, "sample_tokens": 0}
    return RunConfig.model_validate(
        {"data": {"sources": [str(folder / "a.txt")]}, "model": model, "train": train}
    )


@pytest.mark.parametrize("error", FULL, ids=repr)
def test_a_full_memory_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    session = start(config(tmp_path, size="nano", n_layer=1), tmp_path / "run")

    def full(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(session.trainer.learner, "backward", full)
    with pytest.raises(UserError, match=r"memory is full: training needs .+Lower `micro_batch_size`"):
        list(session.run())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2"), OSError(errno.EIO, "disk")])
def test_other_errors_are_not(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_it_is_known_before_anything_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_of", lambda _: 2_000_000_000)
    with pytest.raises(UserError, match=r"training needs at least .+ this process may use 2\.0 GB"):
        start(config(tmp_path, size="small", block_size=4096), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "model", [{"size": "nano"}, {"family": "bigram"}, {"size": "micro", "block_size": 128}]
)
def test_the_estimate_is_a_lower_bound(tmp_path: Path, model: dict[str, Any]) -> None:
    """Of weights, gradients and optimizer, and of what a forward pass keeps, as torch counts it."""
    session = start(config(tmp_path, **model), tmp_path / "run")
    learner, task = session.trainer.learner, session.data
    kept: list[int] = []
    seen: set[int] = set()

    def pack(t: torch.Tensor) -> torch.Tensor:
        if t.untyped_storage().data_ptr() not in seen:
            seen.add(t.untyped_storage().data_ptr())
            kept.append(t.untyped_storage().nbytes())
        return t

    weights = {p.untyped_storage().data_ptr() for p in learner.model.parameters()}
    seen |= weights
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        learner.objective(task.train_batch(0, 16))
    n_params = sum(p.numel() for p in learner.model.parameters())
    estimate = estimate_memory(session.trainer.config, task.tokenizer.n_vocab, learner.device)
    assert 16 * n_params <= estimate.state <= 20 * n_params + 1_000_000
    assert 0.2 * sum(kept) < estimate.activations < 2 * sum(kept)
    session.close()
