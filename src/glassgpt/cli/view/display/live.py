"""A live view for a terminal."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from glassgpt.cli.flags import with_flags
from glassgpt.cli.view.autopilot import in_words, print_choice
from glassgpt.cli.view.display.base import Display
from glassgpt.cli.view.display.figures import Speedometer, exact_share, seconds_left
from glassgpt.cli.view.display.forecast import Forecasts
from glassgpt.cli.view.render import INTERVAL_STYLE, chart
from glassgpt.cli.view.summary import about, panel, print_end
from glassgpt.cli.view.terminal import Terminal
from glassgpt.diagnose import Score, row_title
from glassgpt.language import _
from glassgpt.train import Evaluated, Event, Sampled, Session, Stage, StepDone, Warned
from glassgpt.units import count, duration


class LiveDisplay(Display):
    """Redraws progress, the loss curve with its baselines, and the newest sample."""

    def __init__(self, console: Terminal) -> None:
        self.console = console
        self.doing, self._stage_began = "", time.monotonic()
        self.session: Session | None = None
        self.last: StepDone | None = None
        self.val: Evaluated | None = None
        self.sample = ""
        self.evals: list[tuple[float, float]] = []  # (progress, held-out loss), in the unit of the task
        self.losses: list[tuple[float, float]] = []  # (progress, training loss), in the same unit
        self._nats_to_chars, self.speed, self.forecasts = 1.0, Speedometer(), Forecasts()
        # Last, because its constructor renders once.
        self.live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._render)

    def __enter__(self) -> Display:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def stage(self, doing: str) -> None:
        """Show the current stage, with the seconds that it takes so far."""
        self.doing, self._stage_began = doing, time.monotonic()

    def begin(self, session: Session) -> None:
        """Print the configuration, the data and the run."""
        for line in about(session):
            self.console.print(with_flags(line), markup=False, highlight=False)
        if session.decision is not None:
            print_choice(self.console, session.decision)
        self.doing, self.session = "", session
        self._nats_to_chars = session.data.tokens_per_char

    def show(self, event: Event) -> None:
        """Show one event."""
        self.speed.see(event)
        self.forecasts.see(event)
        match event:
            case StepDone():
                self.last, self.doing = event, ""
                self.losses.append((event.progress, event.loss * self._nats_to_chars))
            case Stage():
                self.stage(event.doing)
            case Evaluated():
                self.val, self.doing = event, ""
                self.evals.append((self.last.progress if self.last else 0.0, event.nats_per_char))
            case Sampled():
                self.sample = event.text
            case Warned():
                self.console.print(
                    _("warning: {message}", message=with_flags(event.message)), style="yellow", markup=False
                )
            case _:
                pass

    def end(self, session: Session) -> None:
        """Print the verdict."""
        self.live.stop()
        if self.evals:
            self.console.print(self._curve())
        print_end(self.console, session, self.sample, self.forecasts.outcome(session.verdict()))

    def _render(self) -> Group:
        if self.session is None or self.last is None:
            return Group(self._stage() if self.doing else Text(_("first steps …"), "dim"))
        parts: list[Any] = [self._bar(self.last)]
        if self.doing:
            parts.append(self._stage())
        if len(self.losses) > 1:
            parts.append(self._curve())
        if self.sample:
            parts.append(panel(self.sample, 6, style="dim"))
        return Group(*parts)

    def _stage(self) -> Text:
        seconds = time.monotonic() - self._stage_began
        return Text(f"{_(self.doing)} …" + (f" {duration(seconds)}" if seconds >= 1 else ""), "dim")

    def _bar(self, last: StepDone) -> Table:
        row = Table.grid(padding=(0, 1))
        val = (
            _("held out {loss:.3f}{exact}", loss=self.val.nats_per_char, exact=exact_share(self.val))
            if self.val
            else ""
        )
        row.add_row(
            ProgressBar(total=1.0, completed=last.progress, width=12),
            f"{last.progress:.0%}",
            _("step {step}", step=last.step),
            _("train {loss:.3f}", loss=last.loss * self._nats_to_chars),
            val,
            _("{speed} tok/s", speed=count(self.speed.of(last))),
            _("{time} left", time=duration(seconds_left(last))),
        )
        return row

    def _curve(self) -> Text:
        assert self.session is not None
        lines = [
            (_label(score), score.nats_per_char)
            for score in self.session.baselines
            if score.kind != "compressor"
        ]
        width = max(20, self.console.width - 36)
        forecast, faint = self.forecasts.newest, _averaged(self.losses, 2 * width)
        interval = (forecast.low, forecast.high) if forecast else None
        picture = chart(
            self.evals, lines, width=width, faint=faint, interval=interval, most=self.console.width
        )
        picture.append(_("loss in {unit}: ", unit=_(self.session.data.unit)), "dim").append(
            _("held out"), "cyan"
        )
        picture.append(_(", training"), "dim")
        if forecast:
            picture.append(", ", "dim").append(
                _("forecast {forecast}", forecast=in_words(forecast)), INTERVAL_STYLE
            )
        return picture.append("\n")


def _label(score: Score) -> str:
    """Name a baseline; the uniform guess with its characters, as a model begins among more tokens."""
    return (
        _("uniform, {n_chars:.0f} chars", n_chars=score.perplexity_per_char)
        if score.kind == "uniform"
        else _(row_title(score.name))
    )


def _averaged(points: list[tuple[float, float]], n: int) -> list[tuple[float, float]]:
    """Reduce a curve to at most n points, each the mean of a group of neighbors."""
    size = -(-len(points) // n)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
