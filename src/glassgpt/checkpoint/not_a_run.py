"""The error for a path that is no run."""

from __future__ import annotations

import difflib
from pathlib import Path

from glassgpt.checkpoint.folders import is_of_transformers, run_folders
from glassgpt.errors import UserError, command_line, shell_word
from glassgpt.language import N_, join_texts
from glassgpt.paths import exists, is_folder

RUNS = Path("runs")
"""Folder of new runs."""


def not_a_run(path: Path) -> UserError:
    """Return the error for a path that is no run; it names the run that was meant, if one is like it.

    >>> print(not_a_run(Path("nowhere/notes")))
    nowhere/notes is not a run (there is no such folder). List the runs: glassgpt runs
    """
    if is_of_transformers(path):
        return UserError(
            "{path} is not a run, but a model of transformers. Import it: {command}",
            path=path,
            command=command_line("import", path),
        )
    reason = N_("it has no config.json") if is_folder(path) else N_("it is a file")
    if not exists(path):
        reason = N_("there is no such folder")
    return UserError(
        "{path} is not a run ({reason}). {did_you_mean}List the runs: glassgpt runs",
        path=path,
        reason=reason,
        did_you_mean=_did_you_mean(path),
    )


def _did_you_mean(path: Path) -> str:
    """Return a question with the runs that have a name like the path's, here, next to it and in runs/."""
    folders = dict.fromkeys([path.parent, RUNS, Path()])
    runs = {path.name: path for folder in folders for path in run_folders(folder)}
    close = difflib.get_close_matches(path.name, runs, n=3, cutoff=0.6)
    return (
        N_("Did you mean {names}? ", names=join_texts(" or ", (shell_word(runs[name]) for name in close)))
        if close
        else ""
    )
