"""Run folders without a step: left by a kill before the first save, removed by every other end.

Such a folder holds nothing that anybody could use, and its name is free for the same command.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from glassgpt.checkpoint.lock import LOCK, OWNER, is_locked
from glassgpt.checkpoint.store.atomic import remove
from glassgpt.errors import UserError
from glassgpt.safe_io import read_json

FILES = {"config.json", "tokenizer.json", "baselines.json", "metrics.jsonl", "verdict.json"}
FOLDERS = {"checkpoints", "data", "samples", "snapshots", "tensorboard"}
DATA = ("data", "samples")
DATA_SUFFIXES = {".bin", ".json", ".png", ".safetensors", ".txt", ".writing"}
"""Endings of the files in `data` and `samples`."""
POINTERS = {"best"}
"""Files of `checkpoints` that are no step."""


def is_abandoned(path: Path) -> bool:
    """True if a folder is a run without a step, and holds nothing else.

    A folder with any other file is somebody's, and so is one with a config.json that is not a run's.
    """
    if path.is_symlink() or not path.is_dir():
        return False
    for each in path.iterdir():
        known = _final_name(each.name) in (FOLDERS if each.is_dir() else FILES | {LOCK, OWNER})
        if not known or each.is_symlink():
            return False
    contents = (file for name in DATA for file in (path / name).glob("**/*"))
    return (
        all(file.is_file() and file.suffix in DATA_SUFFIXES for file in contents)
        and _holds_no_step(path / "checkpoints")
        and _has_config_of_a_run(path)
    )


def discard(path: Path, made: Iterable[Path] = ()) -> None:
    """Remove an abandoned run, then the folders in `made` if they are empty; any other folder stays.

    Call it after the release of the run's lock: no process may be writing there.
    """
    with suppress(OSError):  # the disk that ended the run may refuse this, too
        if is_abandoned(path) and not is_locked(path):
            for each in path.iterdir():
                remove(each)
            for folder in made:
                folder.rmdir()


def clear(path: Path) -> None:
    """Remove an abandoned run's files for a new run; its lock and its folder stay."""
    if is_abandoned(path):
        for each in path.iterdir():
            if each.name not in (LOCK, OWNER):
                remove(each)


def _final_name(name: str) -> str:
    """Return the name of a file without the marks of an unfinished write.

    >>> _final_name(".config.json.writing"), _final_name(".lock")
    ('config.json', '.lock')
    """
    return name[1:].removesuffix(".writing") if name.endswith(".writing") else name


def _holds_no_step(checkpoints: Path) -> bool:
    """True unless a folder of checkpoints has a whole or a damaged step."""
    if not checkpoints.is_dir():
        return True
    partial = (".writing-", ".removing-")
    return all(each.name.startswith(partial) or each.name in POINTERS for each in checkpoints.iterdir())


def _has_config_of_a_run(path: Path) -> bool:
    """True if config.json is a run's, or if there is none and the folder has only just been made."""
    if not (path / "config.json").exists():
        return all(
            each.name in (LOCK, OWNER, "checkpoints", ".config.json.writing") for each in path.iterdir()
        )
    try:
        config = read_json(path / "config.json")
    except (UserError, ValueError, OSError):
        return False
    return isinstance(config, dict) and {"format", "origins", "model", "train"} <= config.keys()
