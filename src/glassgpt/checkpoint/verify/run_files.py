"""The files of a run besides its steps: whether data and figures can be read, and what was left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from glassgpt.checkpoint.run import Run
from glassgpt.checkpoint.store import (
    STEP,
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
"""Types in which tokenizers write ids."""
KEPT = {"best", "latest"}


def check_data(run: Run, n_vocab: int) -> None:
    """Raise UserError unless the run's copy of its data is whole, with ids that its tokenizer knows."""
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
            raise UserError(
                f"{run.data / name}.bin holds the id {largest}, and the vocabulary ends at {n_vocab - 1}: "
                "it is damaged, or of another run"
            )


def _check_lengths(manifest: Path, name: str, split: dict[str, Any]) -> None:
    """What is known of a split: the type of its ids, and lengths that losses are divided by."""
    dtype = split.get("dtype")
    if dtype not in ID_TYPES:
        raise UserError(
            f"{manifest}: {name} is of {quoted(dtype)}, not of {', '.join(ID_TYPES)}: it is damaged"
        )
    for key in ("n_tokens", "n_chars", "n_bytes"):
        if type(value := split.get(key)) is not int or value < 1:
            raise UserError(f"{manifest}: {key} of {name} is {quoted(value)}, not a count: it is damaged")


def check_metrics(run: Run) -> None:
    """Raise UserError where metrics.jsonl has no line that can be read; single lines may be cut short."""
    if not run.metrics_file.exists():
        return
    if file_size(run.metrics_file) and not run.metrics():
        raise UserError(
            f"{run.metrics_file} has no line of figures: it is damaged; training does not need it"
        )


def stale_files(run: Run) -> list[str]:
    """What kills and repairs have left, each with what may be done about it."""
    found = []
    folders = [folder for folder in (run.path, run.checkpoints, run.data) if folder.is_dir()]
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        name = path.name
        if name.startswith((".writing-", ".removing-")) or name.endswith((".tmp", ".writing")):
            found.append(f"{quoted(str(path), 300)}: cut short; while nothing trains here it may be deleted")
        elif name.startswith("damaged-step-"):
            found.append(f"{quoted(str(path), 300)}: damaged, set aside by a resume; may be deleted")
        elif path.parent == run.checkpoints and not STEP.fullmatch(name) and name not in KEPT:
            found.append(f"{quoted(str(path), 300)}: glassgpt did not write it and does not use it")
    return found


def check_small_files(run: Run, resumable: bool) -> None:
    """Raise UserError unless the verdict and the baselines are JSON; only going on needs the latter."""
    for file in (run.verdict_file, run.baselines_file):
        if file.exists() or (resumable and file == run.baselines_file):
            read_json(file)


def check_hint(run: Run) -> None:
    """Raise UserError where `best` names no step; nobody needs it, but it should not be so."""
    hint = run.checkpoints / "best"
    if hint.exists() and read_pointer(run.checkpoints, "best") is None:
        named = read_capped(hint, 100).decode("utf-8", "replace").strip()
        raise UserError(f"{hint} names {quoted(named)}, which is no step of this run; it may be deleted")


def failures(checks: Iterable[Callable[[], object]]) -> list[str]:
    """What the checks that fail say."""
    problems = []
    for check in checks:
        try:
            check()
        except UserError as problem:
            problems.append(str(problem))
    return problems
