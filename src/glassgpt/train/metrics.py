"""Where the figures of a run are written: metrics.jsonl always, TensorBoard and trackio on request."""

from __future__ import annotations

import importlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Protocol

from glassgpt.checkpoint import Run
from glassgpt.config import RunConfig
from glassgpt.errors import missing_extra
from glassgpt.train.events import Evaluated, Event, StepDone


class Tracker(Protocol):
    """Takes events as they happen."""

    def log(self, event: Event) -> None:
        """Write down what an event measured."""
        ...

    def close(self) -> None:
        """Write what is still held back."""
        ...


def make_trackers(run: Run, config: RunConfig) -> list[Tracker]:
    """The trackers that a configuration asks for. Raises UserError where one is not installed."""
    trackers: list[Tracker] = []
    if config.train.tensorboard:
        trackers.append(TensorBoard(run))
    if config.train.trackio:
        trackers.append(Trackio(run, config))
    return [*trackers, JsonLines(run)]


def check_trackers(config: RunConfig) -> None:
    """Raise UserError where a tracker that the configuration asks for is not installed."""
    if config.train.tensorboard:
        _optional("torch.utils.tensorboard")
    if config.train.trackio:
        _optional("trackio")


def figures(event: Event) -> dict[str, float]:
    """What an event measured, under the names that curves get."""
    match event:
        case StepDone():
            names = ("loss", "lr", "grad_norm", "tokens_per_s")
            return {f"train/{name}": getattr(event, name) for name in names}
        case Evaluated():
            names = ("nats_per_token", "nats_per_char", "bits_per_char", "bits_per_byte")
            return {f"val/{name}": getattr(event, name) for name in names}
        case _:
            return {}


class JsonLines:
    """One JSON object a line in metrics.jsonl, on disk at once."""

    def __init__(self, run: Run) -> None:
        whole = not run.metrics_file.is_file() or run.metrics_file.read_bytes()[-1:] in (b"", b"\n")
        self.file = run.metrics_file.open("a", encoding="utf-8", buffering=1)
        if not whole:  # a kill cut the last line short
            self.file.write("\n")

    def log(self, event: Event) -> None:
        if isinstance(event, StepDone | Evaluated):
            kind = "step" if isinstance(event, StepDone) else "eval"
            self.file.write(json.dumps({"event": kind, **asdict(event)}) + "\n")

    def close(self) -> None:
        with suppress(OSError):  # has been told when it was written
            self.file.close()


class TensorBoard:
    """Scalars for `tensorboard --logdir RUN`."""

    def __init__(self, run: Run) -> None:
        self.writer = _optional("torch.utils.tensorboard").SummaryWriter(str(run.path / "tensorboard"))

    def log(self, event: Event) -> None:
        for name, value in figures(event).items():
            self.writer.add_scalar(name, value, getattr(event, "step", 0))

    def close(self) -> None:
        self.writer.close()


class Trackio:
    """Scalars for `trackio show`, kept on this machine."""

    def __init__(self, run: Run, config: RunConfig) -> None:
        self.trackio = _optional("trackio")
        self.trackio.init(project="glassgpt", name=run.path.name, config=config.model_dump(mode="json"))

    def log(self, event: Event) -> None:
        if values := figures(event):
            self.trackio.log(values, step=getattr(event, "step", None))

    def close(self) -> None:
        self.trackio.finish()


def _optional(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing_extra("track", module) from error
