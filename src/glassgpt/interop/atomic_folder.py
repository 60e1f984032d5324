"""A new folder that appears whole, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glassgpt.checkpoint import make_folder
from glassgpt.errors import UserError, cannot_write


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `target` at the end; after an error nothing is left of it.

    Raises UserError if `target` exists or cannot be written.
    """
    if target.exists():
        raise UserError(
            "{target} exists already. Give another folder with `out`, or remove it first.", target=target
        )
    try:
        make_folder(target.parent)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise cannot_write(target, error) from error
    try:
        yield temporary
        for path in (temporary, *temporary.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)  # libraries that write files differ
        temporary.rename(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
