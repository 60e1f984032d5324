"""The forecast of a run's final held-out loss, and its refinement by the run's own curve.

The law knows texts and recipes in general. The run shows how this text and this recipe differ: if its losses
lie above those of trainings for which the law was right, its end will, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from glassgpt.checkpoint import Run, write_json
from glassgpt.errors import UserError
from glassgpt.safe_io import read_json
from glassgpt.train.autopilot.refinement import ByProgress, refine
from glassgpt.train.autopilot.scaling_law import load_scaling_law
from glassgpt.train.events import Evaluated, Event, Forecasted, StepDone
from glassgpt.train.observers import Events, Observer


@dataclass(frozen=True)
class Forecast:
    """A forecast of the final held-out loss in nats per character, with its 80 % interval."""

    nats_per_char: float
    low: float
    high: float
    progress: float = 0.0
    """Share of the training that was done when it was made, 0 to 1."""

    @classmethod
    def of(cls, nats_per_char: float, spread: float, progress: float = 0.0) -> Forecast:
        """Make a forecast; spread: half-width of the interval of the logarithm.

        >>> forecast = Forecast.of(1.5, 0.02)
        >>> round(forecast.low, 2), round(forecast.high, 2)
        (1.47, 1.53)
        """
        factor = math.exp(spread)
        return cls(nats_per_char, nats_per_char / factor, nats_per_char * factor, progress)

    def to_dict(self) -> dict[str, float]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def whole_loss(event: Evaluated, scale: float | None = None) -> float:
    """Return the loss of a verdict on the whole held-out text that an evaluation of a part makes likely.

    scale: `HeldOutProfile.scale` of the part. The context that only the verdict has helps half of the tokens.
    """
    if not event.nats_per_token:  # a text that is known by heart
        return event.nats_per_char
    tokens_per_char = event.nats_per_char / event.nats_per_token
    return (event.nats_per_token - (event.saved_by_context or 0.0) / 2) * (scale or tokens_per_char)


class Forecaster(Observer):
    """Refines the forecast of a run at each evaluation; yields `Forecasted`, first the one that it has.

    The run's forecast.json holds all forecasts, and the outcome in the end.
    """

    def __init__(self, record: Mapping[str, Any], file: Path) -> None:
        """Take the forecasts of a run, as `start` makes them or as they were stored."""
        self.file, self.outcome = file, record["outcome"]
        self.curve = [(float(progress), float(loss)) for progress, loss in record["curve"]]
        self.forecasts = [Forecast(**each) for each in record["forecasts"]]
        self.evals = [(float(progress), float(loss)) for progress, loss in record["evals"]]
        """Losses of the whole held-out text, as far as evaluations of a part tell them."""
        self.scale: float | None = record.get("scale")
        """Loss per character of the whole text over loss per token of the evaluated part; None: not known."""
        self.find_scale: Callable[[], float] | None = None
        """Called once, at the first evaluation."""
        self._step: int | None = None
        self._progress = 0.0

    @classmethod
    def start(cls, first: Forecast, curve: ByProgress, run: Run) -> Self:
        """Begin with the law's forecast for a new run. curve: the losses that the law expects on the way."""
        record = {"curve": curve, "forecasts": [first.to_dict()], "evals": [], "outcome": None}
        found = cls(record, run.forecast_file)
        found.save()
        return found

    @classmethod
    def open(cls, run: Run) -> Self | None:
        """Continue the forecasts of a run; None without them, or if their file is damaged."""
        try:
            return cls(read_json(run.forecast_file), run.forecast_file)
        except (UserError, OSError, KeyError, TypeError, ValueError):
            return None

    @property
    def newest(self) -> Forecast:
        """The forecast at present."""
        return self.forecasts[-1]

    def on_event(self, event: Event) -> Events:
        """See losses; answer with a forecast when it is due."""
        match event:
            case StepDone():
                first = self._step is None
                self._step, self._progress = event.step, event.progress
                return [self._event()] if first else None
            case Evaluated() if self._step is not None:
                self.evals.append((self._progress, self._whole_loss(event)))
                return self._refined()
            case _:
                return None

    def end(self, outcome: float) -> None:
        """Keep the loss of the whole held-out text next to the forecasts."""
        self.outcome = outcome
        self.save()

    def save(self) -> None:
        """Write forecast.json."""
        record = {
            "curve": self.curve,
            "forecasts": [each.to_dict() for each in self.forecasts],
            "evals": self.evals,
            "scale": self.scale,
            "outcome": self.outcome,
        }
        write_json(self.file, record)

    def _whole_loss(self, event: Evaluated) -> float:
        """Return the loss of the whole held-out text that an evaluation of a part makes likely."""
        if self.scale is None and self.find_scale is not None:
            self.scale = self.find_scale()
        return whole_loss(event, self.scale)

    def _refined(self) -> Events:
        """Make the forecast at the last step."""
        residuals = load_scaling_law().residuals
        loss, deviation = refine(self.evals, self.curve, residuals)
        self.forecasts.append(
            Forecast.of(loss, residuals.quantile(self._progress) * deviation, self._progress)
        )
        self.save()
        return [self._event()]

    def _event(self) -> Forecasted:
        now = self.newest
        return Forecasted(self._step or 0, now.nats_per_char, now.low, now.high, now.progress)
