"""Steps of a run on disk: written aside, synced, hashed, then renamed, so that what has a name is whole.

A step is a folder of safetensors and JSON, never overwritten and never pickled. `MANIFEST.json` comes last
and holds the size and SHA-256 of every other file; reading checks them and falls back to the newest step that
passes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from glassgpt.errors import UserError

FORMAT = 1
MANIFEST = "MANIFEST.json"


class BadStep(UserError):
    """A step whose files are missing, changed or cut short."""


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
        return target
    aside = checkpoints / f".writing-{target.name}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        for stem, named in tensors.items():
            save_file(
                {name: t.detach().contiguous().cpu() for name, t in named.items()},
                aside / f"{stem}.safetensors",
            )
        write_json(aside / "state.json", {"format": FORMAT, "step": step, **state})
        files = sorted(aside.iterdir())
        for file in files:
            _sync(file)
        write_json(aside / MANIFEST, {"format": FORMAT, "files": {f.name: _fingerprint(f) for f in files}})
        _sync(aside / MANIFEST)
        _sync(aside)
        aside.rename(target)
        _sync(checkpoints)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"step {step} could not be saved in {checkpoints} ({reason}); earlier steps are "
            "untouched: free some space or give another --out"
        ) from error
    return target


def verify_step(step: Path) -> None:
    """Raise BadStep, saying what is wrong, unless every file is as it was written."""
    try:
        manifest = json.loads((step / MANIFEST).read_text("utf-8"))
        if manifest["format"] > FORMAT:
            raise BadStep(f"{step}: format {manifest['format']} is newer than {FORMAT}; update glassgpt")
        for name, expected in manifest["files"].items():
            if _fingerprint(step / name) != expected:
                raise BadStep(f"{step / name} is not what was written: its size or SHA-256 differs")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadStep):
            raise
        raise BadStep(f"{step} cannot be read: {error}") from error


def read_tensors(step: Path, stem: str) -> dict[str, Tensor]:
    """The tensors of one file of a verified step, on the CPU."""
    try:
        return load_file(step / f"{stem}.safetensors")
    except (OSError, SafetensorError) as error:
        raise BadStep(f"{step / stem}.safetensors cannot be read: {error}") from error


def read_state(step: Path) -> dict[str, Any]:
    """What `save_step` was given as state."""
    return json.loads((step / "state.json").read_text("utf-8"))


def steps(checkpoints: Path) -> list[Path]:
    """All committed steps, newest first; not yet verified."""
    return sorted(checkpoints.glob("step-*"), reverse=True)


def newest_valid(candidates: Iterable[Path]) -> tuple[Path | None, list[str]]:
    """The first step that verifies, and what was wrong with those before it."""
    problems = []
    for step in candidates:
        try:
            verify_step(step)
        except BadStep as problem:
            problems.append(str(problem))
        else:
            return step, problems
    return None, problems


def set_aside(step: Path) -> None:
    """Rename a damaged step, so that its number is free and pruning does not count it."""
    target = step.with_name(f"damaged-{step.name}")
    shutil.rmtree(target, ignore_errors=True)
    step.rename(target)


def set_hint(checkpoints: Path, name: str, step: Path) -> None:
    """Remember a step under a name (`best`). Only a hint: whoever reads it verifies, and can do without."""
    aside = checkpoints / f".{name}"
    aside.write_text(step.name, "utf-8")
    _sync(aside)
    aside.replace(checkpoints / name)


def hinted(checkpoints: Path, name: str) -> Path | None:
    """The step that a hint names, if there is one."""
    try:
        step = checkpoints / (checkpoints / name).read_text("utf-8")
    except (OSError, ValueError):
        return None
    return step if step.parent == checkpoints and step.is_dir() else None


def prune(checkpoints: Path, keep: int = 2) -> None:
    """Remove all but the newest `keep` steps and the hinted best one."""
    best = hinted(checkpoints, "best")
    for step in steps(checkpoints)[keep:]:
        if step != best:
            shutil.rmtree(step)


def write_json(path: Path, value: Any) -> None:
    """Readable JSON, UTF-8; a file that was there is replaced whole or not at all."""
    aside = path.with_name(f".{path.name}.writing")
    aside.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
    aside.replace(path)


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut. Windows has no such call for folders."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
