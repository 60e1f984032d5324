"""Advice: the course of a run in a sentence, and what to do about its result."""

from __future__ import annotations

import math
from typing import NamedTuple

from glassgpt.diagnose.curve import Trend
from glassgpt.diagnose.finding import Outcome
from glassgpt.language import N_
from glassgpt.units import short_number

GAP = 0.8
"""A training loss below this multiple of the held-out loss comes from learning by heart."""

NEAR = 1.02
"""A bigram table with a loss below this multiple of counted bigrams' has learned what it can."""
GPT = N_("train a gpt (`family=gpt`)")
LONGER = N_("train longer")
MANY_PASSES = 10
"""A text that was read so often teaches little more."""
TEXT = N_("text")


LOWER = N_("lower `lr` and `muon_lr`")
REMEDIES = {
    LONGER: "train longer",
    N_("give more {data}, or train longer"): "train longer",
    LOWER: "lower the rate",
    N_("train longer, or change the learning rate"): "raise the rate",
    N_("give more {data}, or raise `dropout`"): "more dropout",
    N_("give more {data}, take a smaller model or raise `dropout`; more steps do not help"): "more dropout",
    N_("take a larger model, or give more {data}"): "larger model",
}
"""Names of the remedies that can be tried, by the advice that gives them."""


def remedy_of(advice: str) -> str:
    """Return the name of the remedy of an advice that can be tried; empty if there is none.

    >>> remedy_of(N_("take a larger model, or give more {data}", data="text"))
    'larger model'
    """
    return REMEDIES.get(getattr(advice, "template", advice), "")


def advice_on(trend: Trend, more: str = TEXT) -> str:
    """Return the advice that follows from the course of a run; see `judged`."""
    return _course(trend, None, more)[1]


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
            rest = _joined(self.course, self.advice)
            return N_("{statement}. {rest}", statement=self.statement, rest=rest)
        return _joined(self.statement, self.advice)


def judged(
    statement: str, outcome: Outcome, trend: Trend | None, limit: float | None = None, more: str = TEXT
) -> Judgment:
    """Add the course of the run to a statement, and advice unless the outcome is ok.

    limit: loss of counted bigrams, which a bigram table approaches, or NaN; None for other models. more: the
    plural or mass noun for further data, such as "text" or "examples".
    """
    if trend is None or trend.direction == "unknown":
        advice = "" if outcome == "ok" else N_("train longer, or give more {data}", data=more)
        return Judgment(statement, outcome, "", advice)
    course, advice = _course(trend, limit, more)
    if outcome != "ok":
        return Judgment(statement, outcome, course, advice)
    return Judgment(statement, outcome, course if trend.direction == "rising" else "")


def _course(trend: Trend, limit: float | None, more: str) -> tuple[str, str]:
    """Return the course of a run, and the advice that follows from it."""
    read = N_("after it read the {data} {times}", data=more, times=_times(trend.epochs))
    if limit is not None and trend.last < NEAR * limit:
        course = N_("A bigram table can learn no more than counted bigrams know: {limit:.3f}", limit=limit)
        return course, GPT
    if trend.direction == "falling":
        course = N_("Its held-out loss was still falling at the end, {read}", read=read)
        if limit is not None and limit > 0:
            course = N_(
                "{course}. A bigram table can get near {limit:.3f}, that of counted bigrams",
                course=course,
                limit=limit,
            )
        many = limit is None and trend.epochs >= MANY_PASSES
        return course, N_("give more {data}, or train longer", data=more) if many else LONGER
    if trend.is_unstable:
        course = N_(
            "Its training loss rose from {low:.3f} to {loss:.3f}: the learning rate is too high",
            low=trend.train_low,
            loss=trend.train,
        )
        return course, LOWER
    if trend.direction == "rising":
        return _rising(trend, more, read)
    if trend.is_stuck:
        return N_("Its training loss did not fall"), N_("train longer, or change the learning rate")
    if limit is not None:
        return N_("Its held-out loss no longer fell, {read}: a bigram table learns no more", read=read), GPT
    if trend.train < GAP * trend.last and trend.epochs > 1:
        course = N_(
            "Its held-out loss no longer fell, {read}, but its training loss did, to {loss:.3f}: it begins "
            "to learn by heart",
            read=read,
            loss=trend.train,
        )
        return course, N_("give more {data}, or raise `dropout`", data=more)
    course = N_("Its held-out loss no longer fell, {read}", read=read)
    return course, N_("take a larger model, or give more {data}", data=more)


def _rising(trend: Trend, more: str, read: str) -> tuple[str, str]:
    course = N_(
        "Step {best_step} of {last_step} was its best: after that the held-out loss rose to {loss:.3f}",
        best_step=trend.best_step,
        last_step=trend.last_step,
        loss=trend.last,
    )
    if trend.epochs < 1:
        return (
            N_("{course}, {read}: the held-out part may be unlike the rest", course=course, read=read),
            N_("shuffle a sorted list, or hold out another part"),
        )
    if trend.train >= trend.best:
        course = N_(
            "{course}, and the training loss is no lower than that best: {loss:.3f}",
            course=course,
            loss=trend.train,
        )
        return course, N_("train longer, or give more {data}", data=more)
    if math.isfinite(trend.train):
        course = N_("{course}, while the training loss went to {loss:.3f}", course=course, loss=trend.train)
    return (
        N_(
            "{course}. It read the {data} {times} and learns by heart",
            course=course,
            data=more,
            times=_times(trend.epochs),
        ),
        N_(
            "give more {data}, take a smaller model or raise `dropout`; more steps do not help",
            data=more,
        ),
    )


def _times(epochs: float) -> str:
    """Return a number of passes over the data.

    >>> _times(0.04), _times(1.6), _times(37.2)
    ('0.04 times', '1.6 times', '37 times')
    """
    return N_("{n} times", n=short_number(epochs))


def _joined(statement: str, advice: str) -> str:
    if advice:
        return N_("{statement}; {advice}.", statement=statement, advice=advice)
    return N_("{statement}.", statement=statement)
