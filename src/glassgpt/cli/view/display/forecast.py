"""Forecasts of the final loss, in words, and the outcome compared with the first of them."""

from __future__ import annotations

from glassgpt.cli.view.autopilot import decimals, in_words
from glassgpt.diagnose import Verdict
from glassgpt.language import _
from glassgpt.train import Event, Forecasted

CHANGE = 0.01
"""Relative change of a forecast that is worth another line in a log."""


class Forecasts:
    """The first and the newest forecast of a training."""

    def __init__(self) -> None:
        self.first: Forecasted | None = None
        self.newest: Forecasted | None = None

    def see(self, event: Event) -> None:
        """Remember a forecast."""
        if isinstance(event, Forecasted):
            self.newest = event
            if self.first is None and event.progress < 1:  # at 1, it is of a shorter run that was resumed
                self.first = event

    def outcome(self, verdict: Verdict) -> str:
        """Return a line with the first forecast and the outcome; empty without a forecast or a loss."""
        if self.first is None or verdict.loss is None:
            return ""
        n = decimals(self.first)
        low, loss, high = (round(value, n) for value in (self.first.low, verdict.loss, self.first.high))
        about = "" if verdict.whole is None else _(" on the whole held-out text")
        place = _(", below the interval") if loss < low else _(", above the interval") if loss > high else ""
        begin = _("first forecast {forecast}", forecast=in_words(self.first))
        if percent := round(100 * self.first.progress):
            begin = _("forecast {forecast} at {percent}%", forecast=in_words(self.first), percent=percent)
        return _(
            "{begin}; outcome {loss}{about}{place}",
            begin=begin,
            loss=f"{loss:.{n}f}",
            about=about,
            place=place,
        )


def is_news(event: Forecasted, printed: Forecasted | None) -> bool:
    """Return True if a forecast differs by `CHANGE` or more from the one that was printed last."""
    return (
        printed is None or abs(event.nats_per_char - printed.nats_per_char) >= CHANGE * printed.nats_per_char
    )
