"""Which steps of a run are kept, which is the best, and what becomes of the others. Their files: store.py."""

from __future__ import annotations

import os
from pathlib import Path

from glassgpt.checkpoint.store.atomic import remove, sync, write_text
from glassgpt.checkpoint.store.safe_io import read_capped
from glassgpt.checkpoint.store.step import STEP, CorruptCheckpoint, quick_check_step, read_state, steps
from glassgpt.errors import UserError


def quarantine(step: Path) -> None:
    """Rename a damaged step, so that its number is free and pruning does not count it."""
    target = step.with_name(f"damaged-{step.name}")
    remove(target)
    os.rename(step, target)
    sync(step.parent)  # or the damaged one may be back, under the number that is written next


def write_pointer(checkpoints: Path, name: str, step: Path) -> None:
    """Remember a step under a name (`best`). Only a hint: whoever reads it verifies, and can do without.

    On disk at return: otherwise pruning could remove the step that the old hint names, and leave that hint.
    """
    write_text(checkpoints / name, step.name)


def read_pointer(checkpoints: Path, name: str) -> Path | None:
    """The step that a hint names, if there is one."""
    try:
        named = read_capped(checkpoints / name, limit=100).decode("ascii", "replace").strip()
    except UserError:
        return None
    step = checkpoints / named
    return step if STEP.fullmatch(named) and step.is_dir() else None


def best_checkpoint(checkpoints: Path) -> Path | None:
    """The step that `best` points to; without it, the one that the newest readable state names."""
    if (best := read_pointer(checkpoints, "best")) is not None:
        return best
    named = remembered_best(checkpoints)
    return named if named is not None and named.is_dir() else None


def remembered_best(checkpoints: Path) -> Path | None:
    """What the newest readable state says the best step is, which may be gone."""
    for step in steps(checkpoints):
        try:
            named = read_state(step).get("best_step")
        except CorruptCheckpoint:
            continue
        return checkpoints / named if isinstance(named, str) and STEP.fullmatch(named) else None
    return None


def prune(checkpoints: Path, keep: int = 2) -> None:
    """Remove all but the best step and the newest `keep` that look whole, with any damaged one between these.

    A step loses its name first: a kill in the middle must not leave half of one under it.
    """
    best, whole = best_checkpoint(checkpoints), 0
    remove_partial_steps(checkpoints)
    for step in steps(checkpoints):
        if whole < keep:
            whole += _looks_whole(step)
        elif step != best:
            gone = step.with_name(f".removing-{step.name}")
            os.rename(step, gone)
            remove(gone)


def remove_partial_steps(checkpoints: Path) -> None:
    """Remove what a kill has left of steps that were being written or removed, or its space is never free.

    Only whoever may write to the run calls this, and not while a step is being written.
    """
    for kind in ("writing", "removing"):
        for left in checkpoints.glob(f".{kind}-step-*"):
            remove(left)


def _looks_whole(step: Path) -> bool:
    try:
        quick_check_step(step)
    except CorruptCheckpoint:
        return False
    return True
