"""Checks of a run's files besides its steps: data, metrics, pointers, stale files."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from glassgpt.checkpoint.run_data import has_examples, run_examples, run_tokens
from glassgpt.checkpoint.run_folder import RunFolder
from glassgpt.checkpoint.store import (
    STEP,
    read_pointer,
)
from glassgpt.data import open_examples, open_tokens
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.safe_io import POINTERS, file_size, quoted, read_capped, read_json


def check_data(run: RunFolder, n_vocab: int) -> None:
    """Raise UserError unless the run's data are complete, with ids below `n_vocab`."""
    if not run.config().data.sources:  # imported without a text
        return
    (open_examples if has_examples(run) else open_tokens)(run.data)  # sizes first: a hash reads them all
    run.check_data_hashes()
    (run_examples if has_examples(run) else run_tokens)(run, n_vocab)


def check_metrics(run: RunFolder) -> None:
    """Raise UserError if metrics.jsonl has no readable line. Single lines may be truncated."""
    if not run.metrics_file.exists():
        return
    if file_size(run.metrics_file) and not run.metrics():
        raise UserError(
            "{metrics_file} has no line of figures. Restore a copy, or delete it: training does not need it.",
            metrics_file=run.metrics_file,
        )


def stale_files(run: RunFolder) -> list[str]:
    """Return remains of kills and repairs, each with advice."""
    found = []
    folders = [folder for folder in (run.path, run.checkpoints, run.data, run.snapshots) if folder.is_dir()]
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        name, shown = path.name, quoted(str(path), 300)
        if name.startswith((".writing-", ".removing-")) or name.endswith((".tmp", ".writing")):
            found.append(N_("{shown}: incomplete. It may be deleted while nothing trains here.", shown=shown))
        elif name.startswith("damaged-step-"):
            found.append(
                N_("{shown}: a damaged step, quarantined by a resume. It may be deleted.", shown=shown)
            )
        elif path.parent == run.checkpoints and not STEP.fullmatch(name) and name not in POINTERS:
            found.append(N_("{shown}: not written by glassgpt, and not used.", shown=shown))
    return found


def check_small_files(run: RunFolder, resumable: bool) -> None:
    """Raise UserError unless verdict, forecast and baselines are JSON. Only a resume needs the baselines."""
    for file in (run.verdict_file, run.forecast_file, run.baselines_file):
        if file.exists() or (resumable and file == run.baselines_file):
            read_json(file)


def check_best_pointer(run: RunFolder) -> None:
    """Raise UserError if the file `best` names no step of the run."""
    pointer = run.checkpoints / "best"
    if pointer.exists() and read_pointer(run.checkpoints, "best") is None:
        named = read_capped(pointer, 100).decode("utf-8", "replace").strip()
        raise UserError(
            "{pointer} names {named}, which is no step of this run. It may be deleted.",
            pointer=pointer,
            named=quoted(named),
        )


def failures(checks: Iterable[Callable[[], object]]) -> list[str]:
    """Run checks and return the messages of those that fail."""
    problems = []
    for check in checks:
        try:
            check()
        except UserError as problem:
            problems.append(str(problem))
    return problems
