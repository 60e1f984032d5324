"""Saving in the background: a training step waits for the copy of the weights, not for the disk.

What a step on disk is, and why it is whole, is checkpoint/store.py.
"""

from __future__ import annotations

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import prune, save_step, write_pointer
from glassgpt.errors import UserError
from glassgpt.train.events import Saved
from glassgpt.train.learner import Tensors

SPARE_BYTES = 1 << 20
"""Besides the tensors: headers, JSON, folders."""


class Saver:
    """Writes one step at a time. The next one waits until the one before is on disk."""

    def __init__(self, checkpoints: Path) -> None:
        self.checkpoints = checkpoints
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[Saved] | None = None

    def submit(self, step: int, tensors: Tensors, state: dict[str, Any], best: bool) -> None:
        """Copy the tensors and begin to write them; the save before has been waited for."""
        assert self._pending is None
        copies = {
            stem: {name: t.detach().to("cpu", copy=True) for name, t in named.items()}
            for stem, named in tensors.items()
        }
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="saver")
        self._pending = self._thread.submit(self._write, step, copies, state, best)

    def finished(self) -> Saved | None:
        """The save that has ended since this was asked last. Raises UserError where it failed."""
        return self.wait() if self._pending is not None and self._pending.done() else None

    def wait(self) -> Saved | None:
        """Until nothing is being written. Raises UserError where the last save failed."""
        pending, self._pending = self._pending, None
        return None if pending is None else pending.result()

    def close(self) -> None:
        """Let the save at hand end; whoever wants to know how has asked before."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)
            self._thread = None

    def _write(self, step: int, tensors: Tensors, state: dict[str, Any], best: bool) -> Saved:
        try:
            check_room(self.checkpoints, sum(t.nbytes for named in tensors.values() for t in named.values()))
            path = save_step(
                self.checkpoints, step, {stem: dict(named) for stem, named in tensors.items()}, state
            )
            if best:
                write_pointer(self.checkpoints, "best", path)
            prune(self.checkpoints)
        except OSError as error:  # the hint and the removal of older steps need a working disk, too
            reason = error.strerror or error
            raise UserError(
                f"step {step} could not be saved in full: {error.filename or self.checkpoints} could not be "
                f"written ({reason}); earlier steps are untouched: see to the disk"
            ) from error
        return Saved(step, path)


def check_room(folder: Path, n_bytes: int) -> None:
    """Raise UserError, with both numbers, unless the disk has room for so many bytes of tensors."""
    needed, free = n_bytes + SPARE_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"a step takes {needed / 1e6:,.0f} MB and {folder} has {free / 1e6:,.0f} MB free; earlier steps "
            "are untouched: free some space, or move the run to a larger disk"
        )
