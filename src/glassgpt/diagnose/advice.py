"""Advice: the course of a run in a sentence, and what to do about its result."""

from __future__ import annotations

import math
from typing import NamedTuple

from glassgpt.diagnose.curve import Trend
from glassgpt.diagnose.finding import Outcome

GAP = 0.8
"""A training loss below this multiple of the held-out loss comes from learning by heart."""

NEAR = 1.02
"""A bigram table with a loss below this multiple of counted bigrams' has learned what it can."""
GPT = "train a gpt (`family=gpt`)"


class Judgment(NamedTuple):
    """A statement, its outcome, the course of the run, and advice; the last two may be empty."""

    statement: str
    outcome: Outcome
    course: str = ""
    advice: str = ""

    @property
    def sentence(self) -> str:
        """Everything in one or two sentences."""
        if self.course:
            return f"{self.statement}. {_joined(self.course, self.advice)}"
        return _joined(self.statement, self.advice)


def judged(
    statement: str, outcome: Outcome, trend: Trend | None, limit: float | None = None, more: str = "text"
) -> Judgment:
    """Add the course of the run to a statement, and advice unless the outcome is ok.

    limit: loss of counted bigrams, which a bigram table approaches, or NaN; None for other models. more: the
    plural or mass noun for further data, such as "text" or "examples".
    """
    if trend is None or trend.direction == "unknown":
        return Judgment(
            statement, outcome, "", "" if outcome == "ok" else f"train longer, or give more {more}"
        )
    course, advice = _course(trend, limit, more)
    if outcome != "ok":
        return Judgment(statement, outcome, course, advice)
    return Judgment(statement, outcome, course if trend.direction == "rising" else "")


def _course(trend: Trend, limit: float | None, more: str) -> tuple[str, str]:
    """Return the course of a run, and the advice that follows from it."""
    read = f"after it read the {more} {_times(trend.epochs)}"
    if limit is not None and trend.last < NEAR * limit:
        return f"A bigram table can learn no more than counted bigrams know: {limit:.3f}", GPT
    if limit is not None and limit > 0 and trend.direction == "falling":
        course = f"Its held-out loss was still falling at the end, {read}"
        return f"{course}. A bigram table can get near {limit:.3f}, that of counted bigrams", "train longer"
    if trend.direction == "falling":
        return f"Its held-out loss was still falling at the end, {read}", "train longer"
    if trend.is_unstable:
        course = f"Its training loss rose from {trend.train_low:.3f} to {trend.train:.3f}"
        return f"{course}: the learning rate is too high", "lower `lr` and `muon_lr`"
    if trend.direction == "rising":
        return _rising(trend, more, read)
    if trend.is_stuck:
        return "Its training loss did not fall", "train longer, or change the learning rate"
    if limit is not None:
        return f"Its held-out loss no longer fell, {read}: a bigram table learns no more", GPT
    if trend.train < GAP * trend.last and trend.epochs > 1:
        course = f"Its held-out loss no longer fell, {read}, but its training loss did, to {trend.train:.3f}"
        return f"{course}: it begins to learn by heart", f"give more {more}, or raise `dropout`"
    return f"Its held-out loss no longer fell, {read}", f"take a larger model, or give more {more}"


def _rising(trend: Trend, more: str, read: str) -> tuple[str, str]:
    course = (
        f"Step {trend.best_step} of {trend.last_step} was its best: after that the held-out loss rose to "
        f"{trend.last:.3f}"
    )
    if trend.epochs < 1:
        return (
            f"{course}, {read}: the held-out part may be unlike the rest",
            "shuffle a sorted list, or hold out another part",
        )
    if math.isfinite(trend.train):
        course += f", while the training loss went to {trend.train:.3f}"
    advice = f"give more {more}, take a smaller model or raise `dropout`; more steps do not help"
    return f"{course}. It read the {more} {_times(trend.epochs)} and learns by heart", advice


def _times(epochs: float) -> str:
    """Return a number of passes over the data.

    >>> _times(0.04), _times(1.6), _times(37.2)
    ('0.04 times', '1.6 times', '37 times')
    """
    return f"{epochs:.2g} times" if epochs < 10 else f"{epochs:.0f} times"


def _joined(statement: str, advice: str) -> str:
    return f"{statement}; {advice}." if advice else f"{statement}."
