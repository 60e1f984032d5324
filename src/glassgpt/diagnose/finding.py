"""One thing that was looked at: the type behind verdicts, the doctor and the claims of the chapters."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Outcome = Literal["ok", "warn", "fail", "unclear"]
"""As expected; worth a look; wrong; or the measurement is too noisy to say."""


@dataclass(frozen=True)
class Finding:
    """What was observed beside what was expected, what follows, and what to do about it.

    `observed` and `expected` are numbers where they are compared (same unit, which `name` states), else
    words. `advice` is one sentence for the user and empty where nothing needs doing.

    >>> Finding("loss at init, nats", observed=4.87, expected=4.67, verdict="ok").is_healthy
    True
    """

    name: str
    observed: float | str
    expected: float | str
    verdict: Outcome
    advice: str = ""

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
