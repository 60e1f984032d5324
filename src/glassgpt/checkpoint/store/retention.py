"""Retention: keep the best step and the newest ones, remove or quarantine the others."""

from __future__ import annotations

import os
from pathlib import Path

from glassgpt.checkpoint.store.atomic import remove, sync, write_text
from glassgpt.checkpoint.store.step import STEP, CorruptCheckpoint, quick_check_step, read_state, steps
from glassgpt.errors import UserError
from glassgpt.safe_io import read_capped


def quarantine(step: Path) -> None:
    """Rename a damaged step to `damaged-step-…`, which frees its number."""
    target = step.with_name(f"damaged-{step.name}")
    remove(target)
    os.rename(step, target)
    sync(step.parent)  # or a power cut brings the old name back, for the next step


def write_pointer(checkpoints: Path, name: str, step: Path) -> None:
    """Store the name of a step in the file `name` (`best`). It is on disk when this returns.

    A pointer may be lost or wrong; readers verify the step. Without the sync, pruning could remove the step
    of the old pointer and leave the old pointer.
    """
    write_text(checkpoints / name, step.name)


def read_pointer(checkpoints: Path, name: str) -> Path | None:
    """Return the step that a pointer names; None without a valid one."""
    try:
        named = read_capped(checkpoints / name, limit=100).decode("ascii", "replace").strip()
    except UserError:
        return None
    step = checkpoints / named
    return step if STEP.fullmatch(named) and step.is_dir() else None


def best_checkpoint(checkpoints: Path) -> Path | None:
    """Return the step that `best` names, or else the best step of the newest readable state."""
    if (best := read_pointer(checkpoints, "best")) is not None:
        return best
    named = recorded_best(checkpoints)
    return named if named is not None and named.is_dir() else None


def recorded_best(checkpoints: Path) -> Path | None:
    """Return the best step of the newest readable state. Its folder may be gone."""
    for step in steps(checkpoints):
        try:
            named = read_state(step).get("best_step")
        except CorruptCheckpoint:
            continue
        return checkpoints / named if isinstance(named, str) and STEP.fullmatch(named) else None
    return None


def prune(checkpoints: Path, keep: int = 2) -> None:
    """Remove old steps; keep the best one and the newest `keep` that pass the quick check.

    Damaged steps between those stay. A step loses its name first: a kill must not leave half of a named step.
    """
    best, n_kept = best_checkpoint(checkpoints), 0
    remove_partial_steps(checkpoints)
    for step in steps(checkpoints):
        if n_kept < keep:
            if _passes_quick_check(step):
                n_kept += 1
        elif step != best:
            removed = step.with_name(f".removing-{step.name}")
            os.rename(step, removed)
            remove(removed)


def remove_partial_steps(checkpoints: Path) -> None:
    """Remove steps that a kill left half written or half removed, to free their space.

    Only the owner of the run's lock calls this, and not during a save.
    """
    for kind in ("writing", "removing"):
        for partial in checkpoints.glob(f".{kind}-step-*"):
            remove(partial)


def _passes_quick_check(step: Path) -> bool:
    """True if names, sizes and headers of a step are right."""
    try:
        quick_check_step(step)
    except CorruptCheckpoint:
        return False
    return True
