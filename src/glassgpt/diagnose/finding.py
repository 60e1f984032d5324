"""One thing that was looked at: the type behind verdicts, the doctor and the claims of the chapters."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Outcome = Literal["ok", "warn", "fail", "unclear"]
"""As expected; worth a look; wrong; or the measurement is too noisy to say."""


@dataclass(frozen=True)
class Finding:
    """What was observed beside what was expected, what follows, and what to do about it.

    `observed` and `expected` are numbers where they are compared (same unit, which `name` states), else
    words. `advice` is one sentence for the user and empty where nothing needs doing. `within`: how far from
    what is expected its own theory lets a number be.

    >>> Finding("loss at init, nats", observed=4.87, expected=4.67, verdict="ok").is_healthy
    True
    """

    name: str
    observed: float | str
    expected: float | str
    verdict: Outcome
    advice: str = ""
    within: float | None = None

    @classmethod
    def near(cls, name: str, observed: float, expected: float, within: float, advice: str = "") -> Self:
        """A number that should be `expected`, give or take `within`; `advice` is given only where it is not.

        >>> Finding.near("loss of one batch, nats", 4.87, 4.67, within=0.54).verdict
        'ok'
        """
        good = abs(observed - expected) <= within  # a NaN is not
        return cls(name, observed, expected, "ok" if good else "fail", "" if good else advice, within)

    @classmethod
    def at_most(cls, name: str, observed: float, limit: float, advice: str = "") -> Self:
        """A number that should not exceed `limit`."""
        good = observed <= limit
        return cls(name, observed, f"≤ {limit:.4g}", "ok" if good else "fail", "" if good else advice)

    @classmethod
    def at_least(cls, name: str, observed: float, limit: float, advice: str = "") -> Self:
        """A number that should not fall below `limit`."""
        good = observed >= limit
        return cls(name, observed, f"≥ {limit:.4g}", "ok" if good else "fail", "" if good else advice)

    @property
    def is_healthy(self) -> bool:
        """Nothing here that needs attention: `unclear` is silence, not alarm."""
        return self.verdict in ("ok", "unclear")

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(**data)
