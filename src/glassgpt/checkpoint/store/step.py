"""Checkpoint steps on disk: written to a temporary folder, synced, hashed, renamed.

A step is a folder of safetensors and JSON, never overwritten and never pickled. So a folder with a step's
name is complete. `MANIFEST.json` is written last and holds the size and SHA-256 of every other file.
manifest.py checks them; readers fall back to the newest valid step. The folder may come from an untrusted
source.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from glassgpt.checkpoint.store import migrate
from glassgpt.checkpoint.store.atomic import make_folder, remove, sync, to_json, write_new
from glassgpt.checkpoint.store.header import Spec, read_header
from glassgpt.checkpoint.store.lazy import LazyTensors
from glassgpt.checkpoint.store.manifest import MANIFEST, check_hashes, check_sizes, fingerprint, read_manifest
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.safe_io import quoted, read_json, unreadable

STEP = re.compile(r"step-\d{10}")


class CorruptCheckpoint(UserError):
    """A step with missing, changed, truncated or foreign files."""


def step_folder(checkpoints: Path, step: int) -> Path:
    """Return the folder of a step.

    >>> step_folder(Path("run/checkpoints"), 1200).name
    'step-0000001200'
    """
    return checkpoints / f"step-{step:010d}"


def save_step(checkpoints: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: dict) -> Path:
    """Commit one step and return its folder.

    tensors: by the stem of their file ("model", "optimizer"), then by name; `LazyTensors` are written one at
    a time. state: ready for JSON. A valid step of that number stays as it is. Raises UserError if the step
    cannot be written, CorruptCheckpoint if a damaged one has its name.
    """
    target = step_folder(checkpoints, step)
    if target.exists():
        verify_step(target)
        sync(checkpoints)  # its writer may have been killed between rename and sync
        return target
    partial = checkpoints / f".writing-{target.name}"
    try:
        make_folder(checkpoints)
        remove(partial)
        partial.mkdir()
        _write(partial, step, tensors, state)
        partial.rename(target)
        sync(checkpoints)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(
            "{checkpoints}: step {step} could not be saved ({reason}). Earlier steps are unchanged. Free "
            "some space, or choose another `out`.",
            checkpoints=checkpoints,
            step=step,
            reason=_reason(error, checkpoints, tensors),
        ) from error
    return target


def _reason(error: Exception, checkpoints: Path, tensors: Mapping[str, Mapping[str, Tensor]]) -> str:
    """Return the system's reason. For a full disk it includes the bytes needed and free."""
    reason = str(getattr(error, "strerror", None) or error)
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in reason:
        needed = sum(map(_n_bytes, tensors.values()))
        with suppress(OSError):
            free = shutil.disk_usage(checkpoints).free
            return N_(
                "{reason}: it takes {needed:,} bytes, and {free:,} are free",
                reason=reason,
                needed=needed,
                free=free,
            )
    return reason


def _n_bytes(named: Mapping[str, Tensor]) -> int:
    return named.n_bytes if isinstance(named, LazyTensors) else sum(t.nbytes for t in named.values())


def _write(folder: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: dict) -> None:
    """Write the files of a step, the manifest last, and sync their bytes, then their names."""
    for stem, named in tensors.items():
        file = folder / f"{stem}.safetensors"
        if isinstance(named, LazyTensors):
            named.save(file)
        else:
            save_file({name: t.detach().contiguous().cpu() for name, t in named.items()}, file)
        sync(file)
    write_new(folder / "state.json", to_json({"format": migrate.FORMAT, "step": step, **state}))
    files = {file.name: fingerprint(file) for file in sorted(folder.iterdir())}
    write_new(folder / MANIFEST, to_json({"format": migrate.FORMAT, "files": files}))
    sync(folder)


@contextmanager
def _as_corrupt(step: Path) -> Iterator[None]:
    """Turn an error in reading a step into CorruptCheckpoint."""
    try:
        yield
    except CorruptCheckpoint:
        raise
    except OSError as error:
        raise CorruptCheckpoint(str(unreadable(step, error))) from error
    except (UserError, SafetensorError) as error:
        raise CorruptCheckpoint(str(error)) from error


def verify_step(step: Path) -> None:
    """Check files, sizes and hashes of a step against its manifest.

    Raises CorruptCheckpoint.
    """
    quick_check_step(step)
    with _as_corrupt(step):
        check_hashes(step)
    read_state(step)


def quick_check_step(step: Path) -> None:
    """Check names and sizes of files and headers of tensors, but no hashes.

    Raises CorruptCheckpoint.
    """
    with _as_corrupt(step):
        for name in check_sizes(step):
            if name.endswith(".safetensors"):
                read_header(step / name)


def read_specs(step: Path, stem: str) -> dict[str, Spec]:
    """Return types and shapes of a file's tensors under today's names. Allocates no tensor.

    Raises CorruptCheckpoint.
    """
    with _as_corrupt(step):
        specs = read_header(step / f"{stem}.safetensors")
        return migrate.migrate_names(stem, specs, read_manifest(step)["format"])


def read_tensors(step: Path, stem: str) -> dict[str, Tensor]:
    """Read the tensors of one file of a verified step, on the CPU, under today's names.

    Raises CorruptCheckpoint. `read_specs` shows names and shapes first: check them before loading.
    """
    read_specs(step, stem)  # before anything is allocated
    with _as_corrupt(step):
        tensors = load_file(step / f"{stem}.safetensors")
        return migrate.migrate_names(stem, tensors, read_manifest(step)["format"])


def read_state(step: Path) -> dict[str, Any]:
    """Return the state that `save_step` got, with `format` and `step`, in today's form.

    Raises CorruptCheckpoint.
    """
    with _as_corrupt(step):
        state = migrate.migrate_state(read_json(step / "state.json"), read_manifest(step)["format"])
    if type(state.get("step")) is not int or step_folder(step.parent, state["step"]).name != step.name:
        raise CorruptCheckpoint(
            "{step} is of step {state}, not of this one. The file is damaged. Restore a copy of it.",
            step=step / "state.json",
            state=quoted(state.get("step")),
        )
    return state


def step_is_resumable(step: Path) -> bool:
    """True if a step holds optimizer state, so that training can resume from it."""
    return (step / "optimizer.safetensors").is_file()


def steps(checkpoints: Path) -> list[Path]:
    """Return all committed steps, newest first, not yet verified."""
    return sorted((path for path in checkpoints.glob("step-*") if STEP.fullmatch(path.name)), reverse=True)


def newest_valid(candidates: Iterable[Path]) -> tuple[Path | None, list[str]]:
    """Return the first valid step, and the problems of the steps before it."""
    problems = []
    for step in candidates:
        try:
            verify_step(step)
        except CorruptCheckpoint as problem:
            problems.append(str(problem))
        else:
            return step, problems
    return None, problems
