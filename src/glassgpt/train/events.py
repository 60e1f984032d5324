"""Training events and their one wire format.

The trainer yields these events; the command line prints them. `to_dict` gives the same names to
`metrics.jsonl`, to `--json` and to any other reader; `Event.from_dict` is its reverse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from glassgpt.objective import Measured
from glassgpt.tasks import Lengths


@dataclass(frozen=True)
class Event:
    """Base class of all events; a subclass names its `kind` and adds fields.

    An observer may yield events of its own class. Field values are strings, numbers, dicts or paths.

    >>> Warned("the disk is almost full").to_dict()
    {'event': 'warning', 'message': 'the disk is almost full'}
    >>> Event.from_dict({"event": "warning", "message": "the disk is almost full"})
    Warned(message='the disk is almost full')
    """

    kind: ClassVar[str] = ""
    """Value of the key "event" in the wire format."""

    def figures(self) -> dict[str, float]:
        """Return the measured numbers by curve name; trackers record events that have any."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Return the event as a dict that json.dumps accepts: {"event": kind, field: value, …}."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"event": self.kind} | {
            name: str(value) if isinstance(value, Path) else value for name, value in values.items()
        }

    @staticmethod
    def from_dict(row: Mapping[str, Any]) -> Event:
        """Make the event that `to_dict` described; unknown fields are ignored.

        Reads the steps of older runs, too, which have one rate `lr` instead of `lrs`. Raises ValueError for
        an unknown kind.
        """
        for cls in Event.__subclasses__():
            if cls.kind == row.get("event"):
                return cls._from_row(row)
        raise ValueError(f"event: {row.get('event')!r} is not a known kind of event.")

    @classmethod
    def _from_row(cls, row: Mapping[str, Any]) -> Event:
        return cls(**{field.name: row[field.name] for field in fields(cls) if field.name in row})


@dataclass(frozen=True)
class StepDone(Event):
    """One optimizer step.

    loss: nats per token of the batch, before the step and without label smoothing. lrs: learning rate of each
    optimizer. grad_norm: norm before clipping. progress: share of the run that is done, 0 to 1. elapsed_s:
    seconds since the start of the run, without pauses. left_s: seconds until its end, None if not known.
    """

    kind = "step"
    step: int
    loss: float
    lrs: dict[str, float]
    grad_norm: float
    tokens: int
    tokens_per_s: float
    progress: float
    elapsed_s: float
    left_s: float | None = None

    def figures(self) -> dict[str, float]:
        """Return loss, learning rates, gradient norm and speed."""
        rates = {f"train/lr/{name}": lr for name, lr in self.lrs.items()}
        names = ("loss", "grad_norm", "tokens_per_s")
        return {f"train/{name}": getattr(self, name) for name in names} | rates

    @classmethod
    def _from_row(cls, row: Mapping[str, Any]) -> Event:
        if "lrs" not in row and "lr" in row:  # one rate, that of AdamW, in runs before `lrs`
            row = {**row, "lrs": {"adamw": row["lr"]}}
        return super()._from_row(row)


@dataclass(frozen=True)
class Evaluated(Event):
    """The loss on the part of the validation split that is measured during training.

    Each block is read by itself, which is quick; the verdict measures again, with more context. Of a
    classifier, a class counts as one character.
    n_tokens: targets in that part. saved_by_context: nats per token that the context of the verdict saves the
    first half of a block; None if nothing asks for it. best: True if no earlier evaluation had a lower loss.
    exact: share of answers that are correct from first to last token; None for tasks without answers.
    """

    kind = "eval"
    step: int
    nats_per_token: float
    nats_per_char: float
    bits_per_char: float
    bits_per_byte: float
    best: bool
    seconds: float
    exact: float | None = None
    n_tokens: int | None = None
    saved_by_context: float | None = None

    @classmethod
    def of(cls, measured: Measured, val: Lengths, *, step: int, best: float, seconds: float) -> Evaluated:
        """Make the event of a measurement on a part of a validation split of these lengths.

        best: the lowest loss so far, in nats per character. The part has as many characters per token as the
        whole.
        """
        nats_per_token = measured.nats / measured.n_tokens
        nats_per_char = nats_per_token * (val.n_tokens / val.n_chars)
        return cls(
            step=step,
            nats_per_token=nats_per_token,
            nats_per_char=nats_per_char,
            bits_per_char=nats_per_char / math.log(2),
            bits_per_byte=nats_per_token * (val.n_tokens / val.n_bytes) / math.log(2),
            best=nats_per_char < best,
            seconds=seconds,
            exact=measured.exact,
            n_tokens=measured.n_tokens,
            saved_by_context=measured.saved_by_context,
        )

    def figures(self) -> dict[str, float]:
        """Return the loss in its four units."""
        names = ("nats_per_token", "nats_per_char", "bits_per_char", "bits_per_byte")
        return {f"val/{name}": getattr(self, name) for name in names}


@dataclass(frozen=True)
class Forecasted(Event):
    """A forecast of the run's final held-out loss, made at this step.

    nats_per_char: the loss that the verdict is expected to find. low, high: an interval that holds it with a
    probability of 80 %. progress: share of the run that is done, 0 to 1.
    """

    kind = "forecast"
    step: int
    nats_per_char: float
    low: float
    high: float
    progress: float

    def figures(self) -> dict[str, float]:
        """Return the forecast and its interval."""
        return {f"forecast/{name}": getattr(self, name) for name in ("nats_per_char", "low", "high")}


@dataclass(frozen=True)
class Stage(Event):
    """Work that takes longer than a second has begun: an evaluation, the verdict."""

    kind = "stage"
    doing: str


@dataclass(frozen=True)
class Sampled(Event):
    """Text generated by the model at this step."""

    kind = "sample"
    step: int
    text: str


@dataclass(frozen=True)
class Saved(Event):
    """A checkpoint that is now on disk."""

    kind = "saved"
    step: int
    path: Path

    @classmethod
    def _from_row(cls, row: Mapping[str, Any]) -> Event:
        return cls(row["step"], Path(row["path"]))


@dataclass(frozen=True)
class Warned(Event):
    """A problem for the user to know about; training continues."""

    kind = "warning"
    message: str
