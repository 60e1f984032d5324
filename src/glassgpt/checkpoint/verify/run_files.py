"""Checks of a run's files besides its steps: data, metrics, pointers, stale files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from glassgpt.checkpoint.run import Run
from glassgpt.checkpoint.store import (
    STEP,
    damaged,
    file_size,
    quoted,
    read_capped,
    read_header,
    read_json,
    read_pointer,
)
from glassgpt.data import open_examples, open_tokens
from glassgpt.errors import UserError

ID_TYPES = ("|u1", "<u2", "<u4")
"""NumPy types of stored token ids."""
POINTERS = {"best", "latest"}


def check_data(run: Run, n_vocab: int) -> None:
    """Raise UserError unless the run's data are complete, with ids below `n_vocab`."""
    if not run.config().data.sources:  # imported without a text
        return
    run.check_data_hashes()
    manifest = run.data / "manifest.json"
    if not manifest.exists():
        for name in ("train", "val"):
            read_header(run.data / f"{name}.safetensors")
        open_examples(run.data)
        return
    about = read_json(manifest).get("tokens")
    for name in ("train", "val"):
        file_size(run.data / f"{name}.bin")
        split = about.get(name) if isinstance(about, dict) else None
        _check_lengths(manifest, name, split if isinstance(split, dict) else {})
    data = open_tokens(run.data)
    for name, split in (("train", data.train), ("val", data.val)):
        if (largest := int(np.max(split.ids, initial=0))) >= n_vocab:
            raise damaged(
                run.data / f"{name}.bin", f"the id {largest}, and the vocabulary ends at {n_vocab - 1}"
            )


def _check_lengths(manifest: Path, name: str, split: dict[str, Any]) -> None:
    """Raise UserError unless a split has a type of ids and positive lengths."""
    dtype = split.get("dtype")
    if dtype not in ID_TYPES:
        raise damaged(manifest, f"{name} is of {quoted(dtype)}, not of {', '.join(ID_TYPES)}")
    for key in ("n_tokens", "n_chars", "n_bytes"):
        if type(value := split.get(key)) is not int or value < 1:
            raise damaged(manifest, f"{key} of {name} is {quoted(value)}, not a count")


def check_metrics(run: Run) -> None:
    """Raise UserError if metrics.jsonl has no readable line. Single lines may be truncated."""
    if not run.metrics_file.exists():
        return
    if file_size(run.metrics_file) and not run.metrics():
        raise UserError(
            f"{run.metrics_file} has no line of figures. Restore a copy, or delete it: training does not "
            "need it."
        )


def stale_files(run: Run) -> list[str]:
    """Return remains of kills and repairs, each with advice."""
    found = []
    folders = [folder for folder in (run.path, run.checkpoints, run.data) if folder.is_dir()]
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        name, shown = path.name, quoted(str(path), 300)
        if name.startswith((".writing-", ".removing-")) or name.endswith((".tmp", ".writing")):
            found.append(f"{shown}: incomplete. It may be deleted while nothing trains here.")
        elif name.startswith("damaged-step-"):
            found.append(f"{shown}: a damaged step, quarantined by a resume. It may be deleted.")
        elif path.parent == run.checkpoints and not STEP.fullmatch(name) and name not in POINTERS:
            found.append(f"{shown}: not written by glassgpt, and not used.")
    return found


def check_small_files(run: Run, resumable: bool) -> None:
    """Raise UserError unless verdict and baselines are JSON. Only a resume needs the baselines."""
    for file in (run.verdict_file, run.baselines_file):
        if file.exists() or (resumable and file == run.baselines_file):
            read_json(file)


def check_best_pointer(run: Run) -> None:
    """Raise UserError if the file `best` names no step of the run."""
    pointer = run.checkpoints / "best"
    if pointer.exists() and read_pointer(run.checkpoints, "best") is None:
        named = read_capped(pointer, 100).decode("utf-8", "replace").strip()
        raise UserError(f"{pointer} names {quoted(named)}, which is no step of this run. It may be deleted.")


def failures(checks: Iterable[Callable[[], object]]) -> list[str]:
    """Run checks and return the messages of those that fail."""
    problems = []
    for check in checks:
        try:
            check()
        except UserError as problem:
            problems.append(str(problem))
    return problems
