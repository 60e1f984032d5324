"""The forecast of a run's final held-out loss, and its refinement by the run's own curve.

The law knows texts and recipes in general. The run shows how this text and this recipe differ: if its losses
lie above those of trainings for which the law was right, its end will, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from glassgpt.checkpoint import Run, write_json
from glassgpt.errors import UserError
from glassgpt.safe_io import read_json
from glassgpt.train.autopilot.law import the_law
from glassgpt.train.events import Evaluated, Event, Forecasted, StepDone
from glassgpt.train.observers import Answer, Observer

TINY = 1e-3
"""Smallest loss whose logarithm is taken: of a text that repeats itself."""
N_BINS = 40
"""Parts of a run; a refinement looks at the mean training loss of the newest part."""


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


def refinement_inputs(
    law: float, train: float, vals: Sequence[float], about: Mapping[str, float]
) -> dict[str, float]:
    """Return the inputs of a refinement: the run's losses next to the law's final one, as logarithms.

    law, train, vals: nats per character; the mean training loss of late, and all evaluations so far. about:
    inputs of the law at the end of the run.
    """
    found = {name: about[name] for name in ("one", "epochs", "block", "ngram", "ngram_dropout", "dropout")}
    law = max(law, TINY)
    shown = {"train": train, "val": vals[-1], "best": min(vals)}
    found |= {name: math.log(max(loss, TINY) / law) for name, loss in shown.items()}
    return found | {"repeated": max(0.0, found["epochs"])}


def refine(
    law: float, progress: float, inputs: Mapping[str, float], refinements: Sequence[Mapping[str, Any]]
) -> Forecast:
    """Return the refined forecast, by the refinement for the nearest progress."""
    nearest = min(refinements, key=lambda each: abs(each["progress"] - progress))
    shift = sum(weight * inputs[name] for name, weight in nearest["weights"].items())
    return Forecast.of(law * math.exp(shift), nearest["spread"], progress)


class Forecaster(Observer):
    """Refines the forecast of a run at each evaluation; yields `Forecasted`, first the one that it has.

    The run's forecast.json holds all forecasts, and the outcome in the end.
    """

    def __init__(self, record: Mapping[str, Any], file: Path) -> None:
        """Take the forecasts of a run, as `start` makes them or as they were stored."""
        self.file, self.outcome = file, record["outcome"]
        self.about: dict[str, float] = record["about"]
        self.tokens_per_char: float = record["tokens_per_char"]
        self.forecasts = [Forecast(**each) for each in record["forecasts"]]
        self._losses: list[tuple[float, float]] = []  # (progress, training loss in nats per character)
        self._vals: list[float] = []
        self._step = 0

    @classmethod
    def start(cls, first: Forecast, about: Mapping[str, float], tokens_per_char: float, run: Run) -> Self:
        """Begin with the law's forecast for a new run. about: inputs of the law at its end."""
        record = {
            "about": about,
            "tokens_per_char": tokens_per_char,
            "forecasts": [first.to_dict()],
            "outcome": None,
        }
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

    def on_event(self, event: Event) -> Answer:
        """See losses; answer with a forecast when it is due."""
        match event:
            case StepDone():
                self._step = event.step
                self._losses.append((event.progress, event.loss * self.tokens_per_char))
                if len(self._losses) == 1:
                    return [self._event()]
            case Evaluated() if self._losses:
                self._vals.append(event.nats_per_char)
                return self._refined()
            case _:
                return None

    def end(self, outcome: float) -> None:
        """Keep the held-out loss of the verdict next to the forecasts."""
        self.outcome = outcome
        self.save()

    def save(self) -> None:
        """Write forecast.json."""
        record = {
            "about": self.about,
            "tokens_per_char": self.tokens_per_char,
            "forecasts": [each.to_dict() for each in self.forecasts],
            "outcome": self.outcome,
        }
        write_json(self.file, record)

    def _refined(self) -> Answer:
        """Make the forecast at the last step."""
        progress = self._losses[-1][0]
        recent = [loss for at, loss in self._losses if at > progress - 2 / N_BINS]
        law = self.forecasts[0].nats_per_char
        x = refinement_inputs(law, sum(recent) / len(recent), self._vals, self.about)
        found = refine(law, progress, x, the_law().refinements)
        self.forecasts.append(found)
        self.save()
        return [self._event()]

    def _event(self) -> Forecasted:
        now = self.newest
        return Forecasted(self._step, now.nats_per_char, now.low, now.high, now.progress)
