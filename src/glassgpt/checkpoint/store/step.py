"""Steps of a run on disk: written aside, synced, hashed, then renamed, so that what has a name is whole.

A step is a folder of safetensors and JSON, never overwritten and never pickled. `MANIFEST.json` comes last
and holds the size and SHA-256 of every other file; manifest.py checks them, and reading falls back to the
newest step that passes. What is read is believed only where it adds up: the folder may be a stranger's.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from glassgpt.checkpoint.store import migrate
from glassgpt.checkpoint.store.atomic import make_folder, remove, sync, to_json, write_new
from glassgpt.checkpoint.store.header import read_header
from glassgpt.checkpoint.store.manifest import MANIFEST, check_hashes, check_sizes, fingerprint, read_manifest
from glassgpt.checkpoint.store.safe_io import quoted, read_json
from glassgpt.errors import UserError

STEP = re.compile(r"step-\d{10}")


class CorruptCheckpoint(UserError):
    """A step whose files are missing, changed, cut short, or not what glassgpt writes."""


def step_folder(checkpoints: Path, step: int) -> Path:
    """Where a step lives.

    >>> step_folder(Path("run/checkpoints"), 1200).name
    'step-0000001200'
    """
    return checkpoints / f"step-{step:010d}"


def save_step(checkpoints: Path, step: int, tensors: dict[str, dict[str, Tensor]], state: dict) -> Path:
    """Commit one step: `tensors` maps a file's stem to its tensors, `state` is JSON. Returns its folder.

    A step that is there already, and whole, is left as it is.
    """
    target = step_folder(checkpoints, step)
    if target.exists():
        verify_step(target)
        sync(checkpoints)  # whoever renamed it may have been killed before this
        return target
    aside = checkpoints / f".writing-{target.name}"
    try:
        make_folder(checkpoints)
        remove(aside)
        aside.mkdir()
        _write(aside, step, tensors, state)
        aside.rename(target)
        sync(checkpoints)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise UserError(
            f"step {step} could not be saved in {checkpoints} ({_reason(error, checkpoints, tensors)}); "
            "earlier steps are untouched: free some space or give another --out"
        ) from error
    return target


def _reason(error: Exception, checkpoints: Path, tensors: dict[str, dict[str, Tensor]]) -> str:
    """What the system says; of a disk that is full, the bytes that were needed and those that are free."""
    reason = str(getattr(error, "strerror", None) or error)
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in reason:
        needed = sum(t.nbytes for named in tensors.values() for t in named.values())
        with suppress(OSError):
            free = shutil.disk_usage(checkpoints).free
            return f"{reason}: it takes {needed:,} bytes, and {free:,} are free"
    return reason


def _write(folder: Path, step: int, tensors: dict[str, dict[str, Tensor]], state: dict) -> None:
    """All files of a step, the manifest last; the bytes of all, then their names, are on disk at the end."""
    for stem, named in tensors.items():
        file = folder / f"{stem}.safetensors"
        save_file({name: t.detach().contiguous().cpu() for name, t in named.items()}, file)
        sync(file)
    write_new(folder / "state.json", to_json({"format": migrate.FORMAT, "step": step, **state}))
    files = {file.name: fingerprint(file) for file in sorted(folder.iterdir())}
    write_new(folder / MANIFEST, to_json({"format": migrate.FORMAT, "files": files}))
    sync(folder)


@contextmanager
def _bad(step: Path) -> Iterator[None]:
    """Whatever goes wrong in reading a step is said of the step."""
    try:
        yield
    except CorruptCheckpoint:
        raise
    except OSError as error:
        raise CorruptCheckpoint(f"{step} cannot be read ({error.strerror or error})") from error
    except (UserError, SafetensorError) as error:
        raise CorruptCheckpoint(str(error)) from error


def verify_step(step: Path) -> None:
    """Raise CorruptCheckpoint unless every file is as it was written and there is no other."""
    quick_check_step(step)
    with _bad(step):
        check_hashes(step)
    read_state(step)


def quick_check_step(step: Path) -> None:
    """The quick half of `verify_step`: names, kinds and sizes of files, headers of tensors; no hashes."""
    with _bad(step):
        for name in check_sizes(step):
            if name.endswith(".safetensors"):
                read_header(step / name)


def read_tensors(step: Path, stem: str) -> dict[str, Tensor]:
    """The tensors of one file of a verified step, on the CPU, as today's format has them."""
    file = step / f"{stem}.safetensors"
    with _bad(step):
        read_header(file)  # before anything is allocated
        return migrate.migrate_tensors(stem, load_file(file), read_manifest(step)["format"])


def read_state(step: Path) -> dict[str, Any]:
    """What `save_step` was given as state, with `format` and `step`, as today's format has it."""
    with _bad(step):
        state = migrate.migrate_state(read_json(step / "state.json"), read_manifest(step)["format"])
    if type(state.get("step")) is not int or step_folder(step.parent, state["step"]).name != step.name:
        raise CorruptCheckpoint(
            f"{step / 'state.json'} is of step {quoted(state.get('step'))}, not of this one"
        )
    return state


def step_is_resumable(step: Path) -> bool:
    """True if a step holds optimizer state, so that training can resume from it."""
    return (step / "optimizer.safetensors").is_file()


def steps(checkpoints: Path) -> list[Path]:
    """All committed steps, newest first; not yet verified."""
    return sorted((path for path in checkpoints.glob("step-*") if STEP.fullmatch(path.name)), reverse=True)


def newest_valid(candidates: Iterable[Path]) -> tuple[Path | None, list[str]]:
    """The first step that verifies, and what was wrong with those before it."""
    problems = []
    for step in candidates:
        try:
            verify_step(step)
        except CorruptCheckpoint as problem:
            problems.append(str(problem))
        else:
            return step, problems
    return None, problems
