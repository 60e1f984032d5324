"""Trackers: observers that record figures and samples in the run's folder, TensorBoard or trackio.

metrics.jsonl and samples/ are always written, TensorBoard and trackio on request. Figures are recorded of
every event that has `figures`.
"""

from __future__ import annotations

import importlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import Run
from glassgpt.config import RunConfig
from glassgpt.errors import missing_extra
from glassgpt.train.events import Event, Sampled
from glassgpt.train.observers import Observer


def make_trackers(run: Run, config: RunConfig) -> list[Observer]:
    """Open the trackers of a configuration. Raises UserError if one is not installed."""
    trackers: list[Observer] = []
    if config.train.tensorboard:
        trackers.append(TensorBoard(run))
    if config.train.trackio:
        trackers.append(Trackio(run, config))
    return [*trackers, JsonLines(run), SampleFiles(run)]


def check_trackers(config: RunConfig) -> None:
    """Raise UserError if a tracker of the configuration is not installed."""
    if config.train.tensorboard:
        _optional("torch.utils.tensorboard")
    if config.train.trackio:
        _optional("trackio")


def _has_half_line(path: Path) -> bool:
    """Return True if a killed process left a file without its last newline."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


class JsonLines(Observer):
    """One JSON object per line in metrics.jsonl, written at once."""

    def __init__(self, run: Run) -> None:
        half_line = _has_half_line(run.metrics_file)
        self.file = run.metrics_file.open("a", encoding="utf-8", buffering=1)
        if half_line:
            self.file.write("\n")

    def on_event(self, event: Event) -> None:
        """Append an event that has figures."""
        if event.figures():
            self.file.write(json.dumps(event.to_dict()) + "\n")

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # already reported when it was written
            self.file.close()


class SampleFiles(Observer):
    """One text file per sample, samples/step-….txt."""

    def __init__(self, run: Run) -> None:
        self.folder = run.samples

    def on_event(self, event: Event) -> None:
        """Write a sample."""
        if isinstance(event, Sampled):
            self.folder.mkdir(exist_ok=True)
            (self.folder / f"step-{event.step:010d}.txt").write_text(event.text, "utf-8")


class TensorBoard(Observer):
    """Scalars for `tensorboard --logdir RUN`."""

    def __init__(self, run: Run) -> None:
        self.writer = _optional("torch.utils.tensorboard").SummaryWriter(str(run.path / "tensorboard"))

    def on_event(self, event: Event) -> None:
        """Add the event's figures as scalars."""
        for name, value in event.figures().items():
            self.writer.add_scalar(name, value, getattr(event, "step", 0))

    def close(self) -> None:
        """Write the buffered scalars and close the file."""
        self.writer.close()


class Trackio(Observer):
    """Scalars for `trackio show`, stored on this machine."""

    def __init__(self, run: Run, config: RunConfig) -> None:
        self.trackio = _optional("trackio")
        self.trackio.init(project="glassgpt", name=run.path.name, config=config.model_dump(mode="json"))

    def on_event(self, event: Event) -> None:
        """Log the event's figures."""
        if figures := event.figures():
            self.trackio.log(figures, step=getattr(event, "step", None))

    def close(self) -> None:
        """Finish the trackio run."""
        self.trackio.finish()


def _optional(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing_extra("track", module) from error
