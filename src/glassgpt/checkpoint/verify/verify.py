"""Verify a run: every byte with `verify_run`, names and sizes with `quick_check`.

Verification changes nothing on disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from glassgpt.checkpoint.run import Run, load_weights
from glassgpt.checkpoint.store import (
    STEP,
    CorruptCheckpoint,
    Layout,
    check_optimizer,
    check_weights,
    file_size,
    layout,
    quick_check_step,
    quoted,
    read_manifest,
    read_pointer,
    read_specs,
    read_state,
    read_tensors,
    step_is_resumable,
    steps,
    verify_step,
)
from glassgpt.checkpoint.verify.health import RunHealth, StepHealth
from glassgpt.checkpoint.verify.run_files import (
    check_best_pointer,
    check_data,
    check_metrics,
    check_small_files,
    failures,
    stale_files,
)
from glassgpt.errors import UserError
from glassgpt.models import Model, build

STATE = ("elapsed_s", "eval_s", "next_eval", "best", "best_step")
"""Keys of state.json for a resume, besides the step. The last two may be null."""


def verify_run(path: Path | str) -> RunHealth:
    """Read and check every file of a run.

    Raises UserError if the folder is no run, or holds links.
    """
    run, fatal, model, planned = Run.open(path), [], None, Layout({}, 0)
    try:
        file_size(run.tokenizer_file)
        config, tokenizer = run.config(), run.tokenizer()
        planned = layout(config.model, tokenizer.n_vocab)
        if steps(run.checkpoints):
            model = build(config.model, tokenizer.n_vocab)
        checks: list[Callable[[], object]] = [
            partial(check_data, run, tokenizer.n_vocab),
            partial(check_metrics, run),
        ]
    except UserError as problem:
        fatal, checks = [str(problem)], []
    found: list[StepHealth] = []
    for step in steps(run.checkpoints):
        health = _step(step, planned, model)
        if health.ok or step.exists() or step.is_symlink():  # else a training process has pruned it meanwhile
            found.append(health)
    resumable = any(step.resumable for step in found)
    checks += [
        partial(check_small_files, run, resumable),
        partial(check_best_pointer, run),
    ]
    best, problems = read_pointer(run.checkpoints, "best"), failures(checks)
    return RunHealth(
        run.path,
        tuple(found),
        best.name if best else None,
        tuple(fatal),
        tuple(problems),
        tuple(stale_files(run)),
    )


def quick_check(run: Run) -> str:
    """Return the health of the steps by names and sizes: `ok`, `no steps`, `2 of 3 damaged`."""
    found = steps(run.checkpoints)
    damaged = len(failures([partial(quick_check_step, step) for step in found]))
    if not found:
        return "no steps"
    if damaged:
        return f"{damaged} of {len(found)} damaged"
    return "ok"


def _step(step: Path, planned: Layout, model: Model | None) -> StepHealth:
    """Verify one step. Without a model, which a fatal problem prevents, only its files."""
    n_bytes, resumable = 0, False
    try:
        verify_step(step)
        files = read_manifest(step)["files"]
        n_bytes = sum(about["bytes"] for about in files.values())
        resumable = step_is_resumable(step)
        if model is not None:
            _check_tensors(step, "model", planned, model)
            if resumable:
                _check_tensors(step, "optimizer", planned, None)
        if resumable:
            _check_state(step, read_state(step))
    except UserError as problem:
        return StepHealth(step, n_bytes, str(problem))
    return StepHealth(step, n_bytes, None, resumable)


def _check_tensors(step: Path, stem: str, planned: Layout, model: Model | None) -> None:
    """Check specs, then read and check every number, then load the weights."""
    file, check = step / f"{stem}.safetensors", check_weights if stem == "model" else check_optimizer
    check(read_specs(step, stem), planned, file)
    tensors = read_tensors(step, stem)
    for name, tensor in tensors.items():
        if not (finite := torch.isfinite(tensor)).all():
            n = int((~finite).sum())
            raise CorruptCheckpoint(
                f"{file}: {n:,} of the {tensor.numel():,} numbers of {quoted(name)} are NaN or infinite. Use "
                "an earlier step."
            )
    if model is not None:
        load_weights(model, tensors)


def _check_state(step: Path, state: dict[str, Any]) -> None:
    """Raise CorruptCheckpoint unless state.json has all that a resume needs."""
    file = step / "state.json"
    if missing := [key for key in STATE if key not in state]:
        raise CorruptCheckpoint(f"{file} lacks {', '.join(missing)}. Training cannot resume from it.")
    for key in STATE[:4]:
        value = state[key]
        if value is None and key == "best":
            continue
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise CorruptCheckpoint(f"{file}: {key} is {quoted(value)}, and must be a number of at least 0.")
    named = state["best_step"]
    if named is not None and not (isinstance(named, str) and STEP.fullmatch(named)):
        raise CorruptCheckpoint(f"{file}: best_step is {quoted(named)}, and must be the name of a step.")
