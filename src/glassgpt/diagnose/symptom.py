"""A finding of the doctor: category and cause of a problem, its place and its cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from glassgpt.diagnose.finding import MARKS, Finding, Outcome
from glassgpt.language import N_, _
from glassgpt.notebook_html import folded, html_card, paragraph, titled_lines

RANKS: Mapping[Outcome, int] = {"fail": 0, "warn": 1, "unclear": 2, "ok": 3}
"""Order of the findings: serious ones first."""


@dataclass(frozen=True)
class Trial:
    """A remedy that was tried: held-out losses in nats per token after as many steps without and with it."""

    change: str
    n_steps: int
    without: float
    with_it: float
    error: float
    """Standard error of the difference, over held-out batches."""

    @property
    def gain(self) -> float:
        """Nats per token that the remedy saves; below 0 it costs."""
        return self.without - self.with_it

    @property
    def sentence(self) -> str:
        """The change, its steps and the difference, in words."""
        if math.isnan(self.gain) or abs(self.gain) <= 2 * self.error:
            return N_(
                "{change}, for {n:,} steps: {loss:.3f} instead of {without:.3f} nats per token: no clear "
                "difference (±{error:.3f})",
                change=self.change,
                n=self.n_steps,
                loss=self.with_it,
                without=self.without,
                error=2 * self.error,
            )
        return N_(
            "{change}, for {n:,} steps: {loss:.3f} instead of {without:.3f} nats per token: {gain:.3f} "
            "{outcome} (±{error:.3f})",
            change=self.change,
            n=self.n_steps,
            loss=self.with_it,
            without=self.without,
            gain=abs(self.gain),
            outcome=N_("better") if self.gain > 0 else N_("worse"),
            error=2 * self.error,
        )


@dataclass(frozen=True, repr=False)
class Symptom(Finding):
    """A finding with its place in the model, its cause and its reason.

    `category` is a part of the model or of the training, such as "mask" or "optimizer"; `cause` says in a few
    words what is wrong with it. `why` is the reason for the expected value, `where` the module or tensor, and
    `cost` the loss that the problem costs, in nats per token, if it was measured; for the category "outcome"
    in the unit of the losses. `remedy` names a change of settings that can be tried, `trial` is what
    came of it.
    """

    category: str = ""
    cause: str = ""
    why: str = ""
    where: str = ""
    cost: float | None = None
    remedy: str = ""
    trial: Trial | None = None

    @property
    def is_serious(self) -> bool:
        """True if something is wrong."""
        return self.outcome == "fail"

    def lines(self) -> list[str]:
        """Return the finding in words, in the current language."""
        place = f" ({self.where})" if self.where else ""
        lines = [f"{_(self.name)}: {_(self.cause)}{place}" if self.cause else _(self.name)]
        lines.append(_("observed: {value}", value=_figure(self.observed)))
        reason = f" ({_(self.why)})" if self.why else ""
        lines.append(_("expected: {value}", value=_figure(self.expected) + reason))
        if self.cost is not None:
            lines.append(
                _("cost: {nats:.3f} nats of the held-out loss", nats=self.cost)
                if self.category == "outcome"
                else _("cost: {nats:.3f} nats per token", nats=self.cost)
            )
        if self.advice:
            lines.append(_("remedy: {advice}", advice=_(self.advice)))
        if self.trial is not None:
            lines.append(_("tried: {result}", result=_(self.trial.sentence)))
        return lines

    def __repr__(self) -> str:
        return f"<Symptom {self.outcome}: {self.lines()[0]}>"

    def _repr_html_(self) -> str:
        first, *rest = self.lines()
        return titled_lines(f"{MARKS[self.outcome]} {first}", rest)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild a symptom from `to_dict`. Raises KeyError, TypeError or ValueError for wrong fields."""
        trial = data.get("trial")
        found = cls(**{**data, "trial": None if trial is None else Trial(**trial)})
        if found.outcome not in RANKS or not isinstance(found.cause, str):
            raise ValueError(found.outcome)
        return found


def _figure(value: float | str) -> str:
    return _(value) if isinstance(value, str) else f"{value:.4g}"


@dataclass(frozen=True)
class Examination:
    """The findings of an examination, serious ones first, and the checks that could not run.

    skipped: the name of each check that could not run, and the reason.
    """

    findings: tuple[Symptom, ...]
    skipped: Mapping[str, str] = field(default_factory=dict[str, str])
    subject: str = ""

    @classmethod
    def of(cls, findings: Iterable[Symptom], skipped: Mapping[str, str], subject: str = "") -> Examination:
        """Sort the findings by outcome; those of one outcome keep their order."""
        return cls(tuple(sorted(findings, key=lambda each: RANKS[each.outcome])), dict(skipped), subject)

    @property
    def problems(self) -> tuple[Symptom, ...]:
        """Findings that need attention."""
        return tuple(each for each in self.findings if not each.is_healthy)

    @property
    def is_healthy(self) -> bool:
        """True if no finding needs attention."""
        return not self.problems

    @property
    def is_serious(self) -> bool:
        """True if something is wrong, not only worth a look."""
        return any(each.is_serious for each in self.findings)

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        n_ok = sum(each.is_healthy for each in self.findings)
        n_skipped = len(self.skipped)
        if self.is_healthy:
            return N_(
                "healthy: {n_ok} checks passed, {n_skipped} could not run", n_ok=n_ok, n_skipped=n_skipped
            )
        n_serious = sum(each.is_serious for each in self.findings)
        return N_(
            "{n_serious} serious, {n_warn} worth a look; {n_ok} checks passed, {n_skipped} could not run",
            n_serious=n_serious,
            n_warn=len(self.problems) - n_serious,
            n_ok=n_ok,
            n_skipped=n_skipped,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "subject": self.subject,
            "healthy": self.is_healthy,
            "findings": [each.to_dict() for each in self.findings],
            "skipped": dict(self.skipped),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild an examination from `to_dict`. Raises KeyError, TypeError or ValueError."""
        findings = tuple(map(Symptom.from_dict, data["findings"]))
        skipped = {str(name): str(reason) for name, reason in dict(data["skipped"]).items()}
        return cls(findings, skipped, str(data["subject"]))

    def __str__(self) -> str:
        parts = [_(self.sentence)]
        for each in self.problems:
            first, *rest = each.lines()
            parts += ["", f"{MARKS[each.outcome]} {first}", *(f"  {line}" for line in rest)]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        problems = "".join(each._repr_html_() for each in self.problems)
        passed = [_(each.name) for each in self.findings if each.is_healthy]
        skipped = [f"{_(name)}: {_(reason)}" for name, reason in self.skipped.items()]
        rest = folded(_("passed"), "".join(map(paragraph, passed)))
        rest += folded(_("could not run"), "".join(map(paragraph, skipped)))
        return html_card(_(self.sentence), {}, problems + rest)
