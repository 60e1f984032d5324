"""Progress on the learning path: the names of finished steps, in a file of the user's state directory.

Nothing here fails a command: a file that cannot be read or written costs a note, which goes to `tell`. A file
that is not as glassgpt wrote it is renamed, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from glassgpt.checkpoint import make_folder, write_json
from glassgpt.errors import UserError
from glassgpt.explain.path import PATH
from glassgpt.language import _
from glassgpt.safe_io import read_json

VERSION = 1
WAIT_S = 5.0
"""Time to wait for another process that writes the file."""

Names = tuple[str, ...]
Tell = Callable[[str], None]
"""Called with a note for the user."""


def progress_file() -> Path:
    """Return the path of the file."""
    return user_state_path("glassgpt") / "learn.json"


def finished_steps(tell: Tell) -> Names:
    """Return the names of the finished steps, in the order in which they ended."""
    try:
        return _read(progress_file(), tell)
    except OSError as error:
        tell(_("your progress cannot be read ({reason}).", reason=error.strerror or error))
        return ()


def record_step(name: str, tell: Tell) -> None:
    """Note that a step has ended well."""
    _update(lambda names: names if name in names else (*names, name), tell)


def record_use(command: str, family: str, tell: Tell) -> None:
    """Note the practice step that a command completes on a model of a family, if there is one."""
    for step in PATH:
        if step.family == family and step.use.startswith(f"glassgpt {command} "):
            record_step(step.name, tell)


def forget_steps(tell: Tell) -> None:
    """Begin again: no step is finished."""
    _update(lambda names: (), tell)


def _update(change: Callable[[Names], Names], tell: Tell) -> None:
    """Change the names while no other process writes them. What prevents it becomes a note."""
    file = progress_file()
    try:
        make_folder(file.parent)
        with FileLock(file.with_name(".learn.lock"), timeout=WAIT_S):
            names = _read(file, tell)
            if (changed := change(names)) != names:
                write_json(file, {"version": VERSION, "done": list(changed)})
    except (OSError, Timeout) as error:
        reason = getattr(error, "strerror", None) or error
        tell(_("your progress is not kept: {file}: {reason}.", file=file, reason=reason))


def _read(file: Path, tell: Tell) -> Names:
    """Return the names in a file. A file that is not ours is renamed, and counts as empty."""
    if not file.exists() and not file.is_symlink():
        return ()
    try:
        found = read_json(file)
        if _is_ours(found):
            return tuple(found["done"])
    except UserError as error:
        if isinstance(error.__cause__, OSError):  # it may be sound, but cannot be read
            raise error.__cause__ from None
    aside = next(each for n in count(1) if not (each := file.with_name(f"learn-{n}.damaged")).exists())
    file.rename(aside)
    text = _("{file} is damaged, or of another program: it is now {aside}. Your progress begins again.")
    tell(text.format(file=file, aside=aside.name))
    return ()


def _is_ours(found: dict[str, Any]) -> bool:
    """True for what `_update` writes."""
    done = found.get("done")
    is_list = isinstance(done, list) and all(isinstance(name, str) for name in done)
    return is_list and found.get("version") == VERSION
