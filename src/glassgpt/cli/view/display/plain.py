"""Lines for a log."""

from __future__ import annotations

import time

from glassgpt.cli.flags import with_flags
from glassgpt.cli.view.autopilot import in_words, print_choice
from glassgpt.cli.view.display.base import Display
from glassgpt.cli.view.display.figures import Speedometer, exact_share, seconds_left
from glassgpt.cli.view.display.forecast import Forecasts, is_news
from glassgpt.cli.view.summary import about, print_end
from glassgpt.cli.view.terminal import Terminal
from glassgpt.language import _
from glassgpt.safe_io import MAX_JSON, read_capped
from glassgpt.train import Evaluated, Event, Forecasted, Session, Stage, StepDone, Warned
from glassgpt.units import count, duration


class PlainDisplay(Display):
    """Prints lines for a log: each evaluation, and the loss every few seconds."""

    EVERY_S = 10.0

    def __init__(self, console: Terminal) -> None:
        self.console = console
        self._last = time.monotonic()
        self.unit, self.nats_to_chars = "nats/char", 1.0
        self.speed, self.forecasts = Speedometer(), Forecasts()
        self._printed: Forecasted | None = None

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def stage(self, doing: str) -> None:
        """Print the current stage."""
        self._say(f"{_(doing)} …")

    def begin(self, session: Session) -> None:
        """Print the configuration, the data and the run."""
        self.unit, self.nats_to_chars = _(session.data.unit), session.data.tokens_per_char
        for line in about(session):
            self._say(with_flags(line))
        if session.decision is not None:
            print_choice(self.console, session.decision)

    def show(self, event: Event) -> None:
        """Print one event."""
        self.speed.see(event)
        self.forecasts.see(event)
        match event:
            case StepDone() if time.monotonic() - self._last > self.EVERY_S:
                self._last = time.monotonic()
                self._say(
                    _(
                        "{progress:4.0%}  step {step}  train {loss:.3f}  {speed} tokens/s  {time} left",
                        progress=event.progress,
                        step=event.step,
                        loss=event.loss * self.nats_to_chars,
                        speed=count(self.speed.of(event)),
                        time=duration(seconds_left(event)),
                    )
                )
            case Evaluated():
                mark = _("  best") if event.best else ""
                self._say(
                    _(
                        "step {step}: held out {loss:.4f} {unit}{exact}{mark}",
                        step=event.step,
                        loss=event.nats_per_char,
                        unit=self.unit,
                        exact=exact_share(event),
                        mark=mark,
                    )
                )
            case Forecasted() if is_news(event, self._printed):
                self._printed = event
                self._say(
                    _(
                        "{progress:4.0%}  forecast {forecast} {unit}",
                        progress=event.progress,
                        forecast=in_words(event),
                        unit=self.unit,
                    )
                )
            case Stage():
                self.stage(event.doing)
            case Warned():
                self._say(_("warning: {message}", message=with_flags(event.message)))
            case _:
                pass

    def end(self, session: Session) -> None:
        """Print the verdict."""
        print_end(self.console, session, _last_sample(session), self.forecasts.outcome(session.verdict()))


def _last_sample(session: Session) -> str:
    """Text of the newest sample of a run."""
    files = sorted(session.folder.samples.glob("*.txt"))
    return read_capped(files[-1], MAX_JSON).decode("utf-8", "replace") if files else ""
