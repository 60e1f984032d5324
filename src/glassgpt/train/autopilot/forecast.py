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
SLACK = 0.02
"""An evaluation so little after half of the time counts as one before it."""
Evals = Sequence[tuple[float, float]]
"""Evaluations of a run: (progress, held-out loss in nats per character)."""


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


def refinement_inputs(law: float, evals: Evals, about: Mapping[str, float]) -> dict[str, float]:
    """Return the inputs of a refinement: the held-out losses so far, next to the law and to counting.

    law: the law's final loss in nats per character. evals: all evaluations so far. about: inputs of the law
    at the end of the run, and `counted`, the logarithm of the best counted loss.
    """
    progress, last = evals[-1]
    best = _log_best(evals)
    earlier = [each for each in evals if each[0] <= progress / 2 + SLACK] or evals
    found = {name: about[name] for name in ("one", "epochs", "ngram", "chars")}
    return found | {
        "law": math.log(max(law, TINY)) - best,
        "rise": math.log(max(last, TINY)) - best,
        "drop": best - _log_best(earlier),  # of the second half so far
        "counted": best - about["counted"],
        "block_chars": about["block"] + about["bpe"],
        "repeated": max(0.0, about["epochs"]),
    }


def refine(evals: Evals, inputs: Mapping[str, float], refinements: Sequence[Mapping[str, Any]]) -> Forecast:
    """Return the refined forecast, by the refinement for the nearest progress."""
    progress = evals[-1][0]
    nearest = min(refinements, key=lambda each: abs(each["progress"] - progress))
    shift = sum(weight * inputs[name] for name, weight in nearest["weights"].items())
    return Forecast.of(math.exp(_log_best(evals) + shift), nearest["spread"], progress)


def log_counted(loss: float) -> float:
    """Return the input `counted` of a refinement, from the best counted loss."""
    return math.log(max(loss, TINY))


def _log_best(evals: Evals) -> float:
    return math.log(max(min(loss for _, loss in evals), TINY))


class Forecaster(Observer):
    """Refines the forecast of a run at each evaluation; yields `Forecasted`, first the one that it has.

    The run's forecast.json holds all forecasts, and the outcome in the end.
    """

    def __init__(self, record: Mapping[str, Any], file: Path) -> None:
        """Take the forecasts of a run, as `start` makes them or as they were stored."""
        self.file, self.outcome = file, record["outcome"]
        self.about: dict[str, float] = record["about"]
        self.forecasts = [Forecast(**each) for each in record["forecasts"]]
        self.evals = [(float(progress), float(loss)) for progress, loss in record["evals"]]
        self._step: int | None = None
        self._progress = 0.0

    @classmethod
    def start(cls, first: Forecast, about: Mapping[str, float], run: Run) -> Self:
        """Begin with the law's forecast for a new run. about: as in `refinement_inputs`."""
        record = {"about": about, "forecasts": [first.to_dict()], "evals": [], "outcome": None}
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
                first = self._step is None
                self._step, self._progress = event.step, event.progress
                return [self._event()] if first else None
            case Evaluated() if self._step is not None:
                self.evals.append((self._progress, event.nats_per_char))
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
            "forecasts": [each.to_dict() for each in self.forecasts],
            "evals": self.evals,
            "outcome": self.outcome,
        }
        write_json(self.file, record)

    def _refined(self) -> Answer:
        """Make the forecast at the last step."""
        inputs = refinement_inputs(self.forecasts[0].nats_per_char, self.evals, self.about)
        found = refine(self.evals, inputs, the_law().refinements)
        self.forecasts.append(found)
        self.save()
        return [self._event()]

    def _event(self) -> Forecasted:
        now = self.newest
        return Forecasted(self._step or 0, now.nats_per_char, now.low, now.high, now.progress)
