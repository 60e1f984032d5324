"""One checked observation: the common type of verdicts, the doctor and the chapters' claims."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from glassgpt.language import _
from glassgpt.notebook_html import html_card

Outcome = Literal["ok", "warn", "fail", "unclear"]
"""As expected; worth a look; wrong; or too noisy to decide."""
MARKS: Mapping[Outcome, str] = {"ok": "✓", "warn": "!", "fail": "✗", "unclear": "?"}
"""Sign of each outcome."""


@dataclass(frozen=True)
class Finding:
    """An observation, the expected value, the outcome of comparing them, and advice.

    `observed` and `expected` are numbers in the same unit, which `name` states, or words. `advice` is one
    sentence for the user; it is empty if there is nothing to do. `within` is the distance from the expected
    value that theory allows.

    >>> Finding("loss at init, nats", observed=4.87, expected=4.67, outcome="ok").is_healthy
    True
    """

    name: str
    observed: float | str
    expected: float | str
    outcome: Outcome
    advice: str = ""
    within: float | None = None

    @classmethod
    def near(cls, name: str, observed: float, expected: float, within: float, advice: str = "") -> Self:
        """Check that a number is near `expected`; keep `advice` if not.

        >>> Finding.near("loss of one batch, nats", 4.87, 4.67, within=0.54).outcome
        'ok'
        """
        good = abs(observed - expected) <= within  # False for NaN
        return cls(name, observed, expected, "ok" if good else "fail", "" if good else advice, within)

    @classmethod
    def at_most(cls, name: str, observed: float, limit: float, advice: str = "") -> Self:
        """Check that a number is at most `limit`; keep `advice` if not."""
        good = observed <= limit
        return cls(name, observed, f"≤ {limit:.4g}", "ok" if good else "fail", "" if good else advice)

    @classmethod
    def at_least(cls, name: str, observed: float, limit: float, advice: str = "") -> Self:
        """Check that a number is at least `limit`; keep `advice` if not."""
        good = observed >= limit
        return cls(name, observed, f"≥ {limit:.4g}", "ok" if good else "fail", "" if good else advice)

    @property
    def is_healthy(self) -> bool:
        """True if nothing needs attention; `unclear` needs none."""
        return self.outcome in ("ok", "unclear")

    def _repr_html_(self) -> str:
        facts = {_("measured"): _figure(self.observed), _("expected"): _figure(self.expected)}
        if self.advice:
            facts[_("remedy")] = _(self.advice)
        return html_card(f"{MARKS[self.outcome]} {_(self.name)}", facts)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild a finding from `to_dict`; also read `verdict`, the old name of `outcome`."""
        return cls(**{"outcome" if key == "verdict" else key: value for key, value in data.items()})


def _figure(value: float | str) -> str:
    return _(value) if isinstance(value, str) else f"{value:.4g}"
