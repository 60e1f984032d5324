"""Verify a run: every byte with `verify_run`, names and sizes with `quick_check`.

Verification changes nothing on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from glassgpt.checkpoint.run_folder import RunFolder
from glassgpt.checkpoint.snapshots import check_snapshots
from glassgpt.checkpoint.store import (
    CorruptCheckpoint,
    Layout,
    TrainState,
    check_optimizer,
    check_weights,
    layout,
    quick_check_step,
    read_manifest,
    read_pointer,
    read_specs,
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
from glassgpt.language import N_
from glassgpt.safe_io import quoted


def verify_run(path: Path | str) -> RunHealth:
    """Read and check every file of a run.

    Raises UserError if the folder is no run, or holds links.
    """
    run, fatal, planned = RunFolder.open(path), [], None
    try:
        n_vocab = run.tokenizer().n_vocab
        planned = layout(run.config().model, n_vocab)
        checks: list[Callable[[], object]] = [
            partial(check_data, run, n_vocab),
            partial(check_metrics, run),
            partial(check_snapshots, run, planned),
        ]
    except UserError as problem:
        fatal, checks = [str(problem)], []
    found: list[StepHealth] = []
    for step in steps(run.checkpoints):
        health = _step(step, planned)
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


def quick_check(run: RunFolder) -> str:
    """Return the health of the steps by names and sizes: `ok`, `no steps`, `2 of 3 damaged`."""
    found = steps(run.checkpoints)
    damaged = len(failures([partial(quick_check_step, step) for step in found]))
    if not found:
        return N_("no steps")
    if damaged:
        return N_("{damaged} of {n_found} damaged", damaged=damaged, n_found=len(found))
    return "ok"


def _step(step: Path, planned: Layout | None) -> StepHealth:
    """Verify one step. Without a layout, which a fatal problem prevents, only its files."""
    n_bytes, resumable = 0, False
    try:
        verify_step(step)
        files = read_manifest(step)["files"]
        n_bytes = sum(about["bytes"] for about in files.values())
        resumable = step_is_resumable(step)
        if planned is not None:
            check_step(step, planned, resumable)
            for stem in ("model", "optimizer")[: 1 + resumable]:
                _check_finite(step, stem)
    except UserError as problem:
        return StepHealth(step, n_bytes, str(problem))
    return StepHealth(step, n_bytes, None, resumable)


def check_step(step: Path, planned: Layout, resumable: bool) -> None:
    """Check names, types and shapes of a verified step's tensors, and its state. Reads no tensor.

    resumable: its optimizer state is checked, too. Raises UserError.
    """
    check_weights(read_specs(step, "model"), planned, step / "model.safetensors")
    if resumable:
        check_optimizer(read_specs(step, "optimizer"), planned, step / "optimizer.safetensors")
        TrainState.read(step)


def _check_finite(step: Path, stem: str) -> None:
    """Read every number of a file's tensors. Raises CorruptCheckpoint for NaN and infinity."""
    for name, tensor in read_tensors(step, stem).items():
        if not (finite := torch.isfinite(tensor)).all():
            raise CorruptCheckpoint(
                "{step}.safetensors: {n_bad:,} of the {n:,} numbers of {name} are NaN or infinite. Use an "
                "earlier step.",
                step=step / stem,
                n_bad=int((~finite).sum()),
                n=tensor.numel(),
                name=quoted(name),
            )
