"""Saving in the background.

A training step waits for a copy of the tensors, not for the disk. The files of a step and their integrity are
the package `checkpoint`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import (
    TrainState,
    newest_valid,
    prune,
    quarantine,
    remove_partial_steps,
    save_step,
    steps,
    write_pointer,
)
from glassgpt.config import TrainConfig
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.train.events import Event, Saved, Warned
from glassgpt.train.parallel import Tensors

SPARE_BYTES = 1 << 20
"""Bytes on disk besides the tensors: headers, JSON, folders."""


class AsyncSaver:
    """Writes one checkpoint at a time, in a thread."""

    def __init__(self, checkpoints: Path) -> None:
        self.checkpoints = checkpoints
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[Saved] | None = None
        self.seconds = 0.0
        """Seconds that the latest save took to write."""

    def submit(self, step: int, tensors: Tensors, state: dict[str, Any], best: bool) -> None:
        """Copy the tensors and start to write them; call `wait` first.

        state: the other fields of state.json. best: point to this step as the best one.
        """
        assert self._pending is None
        copies = {
            stem: {name: t.detach().to("cpu", copy=True) for name, t in named.items()}
            for stem, named in tensors.items()
        }
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="saver")
        self._pending = self._thread.submit(self._write, step, copies, state, best)

    def finished(self) -> Saved | None:
        """Return a save that finished since the last call. Raises UserError if it failed."""
        return self.wait() if self._pending is not None and self._pending.done() else None

    def wait(self) -> Saved | None:
        """Wait until nothing is being written. Raises UserError if the last save failed."""
        pending, self._pending = self._pending, None
        return None if pending is None else pending.result()

    def close(self) -> None:
        """Finish the current save, without reporting its result."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)
            self._thread = None

    def _write(self, step: int, tensors: Tensors, state: dict[str, Any], best: bool) -> Saved:
        began = time.monotonic()
        try:
            check_disk_space(
                self.checkpoints, sum(t.nbytes for named in tensors.values() for t in named.values())
            )
            path = save_step(
                self.checkpoints, step, {stem: dict(named) for stem, named in tensors.items()}, state
            )
            if best:
                write_pointer(self.checkpoints, "best", path)
            prune(self.checkpoints)
        except OSError as error:  # the pointer and the removal of older steps need a working disk, too
            reason = error.strerror or error
            raise UserError(
                "step {step}: cannot write {file} ({reason}). Earlier steps are unchanged; check the disk.",
                step=step,
                file=error.filename or self.checkpoints,
                reason=reason,
            ) from error
        self.seconds = time.monotonic() - began
        return Saved(step, path)


class CheckpointSaver:
    """Saves steps of a run when they are due, and turns saves and their errors into events.

    With several processes, all of them count the saves and the main one writes.
    """

    def __init__(self, checkpoints: Path, config: TrainConfig, is_main: bool) -> None:
        self.config, self.is_main = config, is_main
        self._writer = AsyncSaver(checkpoints)
        self._step, self._at_s = -1, 0.0  # of the latest save

    @property
    def seconds(self) -> float:
        """Seconds that the latest save took to write."""
        return self._writer.seconds

    def mark_saved(self, step: int, trained_s: float) -> None:
        """Note that this step is saved, or being saved."""
        self._step, self._at_s = step, trained_s

    def is_due(self, step: int, trained_s: float) -> bool:
        """True if `save_minutes` have passed since the latest save."""
        return self.is_new(step) and trained_s - self._at_s > 60 * self.config.save_minutes

    def is_new(self, step: int) -> bool:
        """True for a step after the first that is not saved."""
        return step not in (0, self._step)

    def save(self, state: TrainState, tensors: Tensors, trained_s: float, best: bool) -> Iterator[Event]:
        """Start to save a step; yield the result of the save before.

        trained_s: equal in all processes. best: it is the best step so far.
        """
        if self.is_main:
            yield from self.finished(wait=True)
            self._writer.submit(state.step, tensors, state.model_dump(exclude={"step"}), best)
        self.mark_saved(state.step, trained_s)

    def finished(self, wait: bool = False) -> Iterator[Event]:
        """Yield the save that has finished, or a warning about its error."""
        try:
            saved = self._writer.wait() if wait else self._writer.finished()
        except UserError as error:
            if self.config.on_save_error == "stop":
                raise
            self._step = -1  # try again, at the end if not before
            yield Warned(N_("{error} Training continues.", error=error))
        else:
            if saved is not None:
                yield saved

    def wait(self) -> Saved | None:
        """Wait until nothing is being written. Raises UserError if the last save failed."""
        return self._writer.wait()

    def close(self) -> None:
        """Finish the current save, without reporting its result."""
        self._writer.close()


def check_disk_space(folder: Path, n_bytes: int) -> None:
    """Raise UserError unless the disk has room for this many bytes of tensors."""
    needed, free = n_bytes + SPARE_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            "a checkpoint needs {needed:,.0f} MB and {folder} has {free:,.0f} MB free. Earlier steps are "
            "unchanged; free some space, or move the run to a larger disk.",
            needed=needed / 1e6,
            folder=folder,
            free=free / 1e6,
        )


def recover_newest(folder: Path) -> tuple[Path | None, list[str]]:
    """Return the newest complete step and the problems of newer ones.

    Moves damaged steps aside, removes half-written ones, and restores the pointer to the best step.
    """
    remove_partial_steps(folder)
    step, problems = newest_valid(steps(folder))
    if step is not None:
        for damaged in takewhile(lambda newer: newer != step, steps(folder)):
            quarantine(damaged)
        best = TrainState.read(step).best_step
        if best is not None and (folder / best).is_dir():
            write_pointer(folder, "best", folder / best)
    return step, problems
