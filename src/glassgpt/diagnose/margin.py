"""The lead of a model over its best baseline: better, worse, or too close to tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Margin:
    """A lead over another predictor, positive if the model is better, with its 95 % interval.

    interval: half of the interval's width. unit: of both numbers.

    >>> Margin("bigram", lead=0.021, interval=0.008, unit="nats per character").outcome
    'better'
    """

    over: str
    lead: float
    interval: float
    unit: str

    @property
    def outcome(self) -> Literal["better", "worse", "too close to tell"]:
        """The side of zero on which the whole interval lies, in words."""
        if abs(self.lead) <= self.interval:
            return "too close to tell"
        return "better" if self.lead > 0 else "worse"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, the ends of the interval and the outcome, ready for JSON."""
        ends = {"low": self.lead - self.interval, "high": self.lead + self.interval}
        return asdict(self) | ends | {"outcome": self.outcome}
