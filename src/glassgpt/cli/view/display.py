"""Displays of a training run: live for a terminal, lines for a log, JSON for a program."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from glassgpt.cli.flags import with_flags
from glassgpt.cli.view.render import chart
from glassgpt.cli.view.summary import about, panel, print_end
from glassgpt.cli.view.terminal import Terminal, discard_output, is_gone, print_json, print_note
from glassgpt.safe_io import MAX_JSON, read_capped
from glassgpt.train import Evaluated, Event, Sampled, Session, Stage, StepDone, Warned
from glassgpt.units import count, duration


def make_display(as_json: bool, silent: bool = False) -> Display:
    """Return the display for standard output. A silent one is for the other processes of a training."""
    if silent:
        return Display()
    if as_json:
        return EnduringDisplay(JsonDisplay())
    console = Terminal()
    return EnduringDisplay(LiveDisplay(console) if console.is_terminal else PlainDisplay(console))


class Display:
    """Base of the displays; shows nothing.

    Use it as a context manager: it restores the terminal at the end.
    """

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def stage(self, doing: str) -> None:
        """Show the current stage of the preparation."""

    def begin(self, session: Session) -> None:
        """Show the data, the model and the run."""

    def show(self, event: Event) -> None:
        """Show one event of the training."""

    def end(self, session: Session) -> None:
        """Show the verdict and the next commands."""


class EnduringDisplay(Display):
    """Shows another display, until its output takes no more text: the training goes on without it."""

    def __init__(self, display: Display) -> None:
        self.display = display

    def __enter__(self) -> Display:
        self._try(lambda: self.display.__enter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._try(lambda: self.display.__exit__(kind, error, trace))

    def stage(self, doing: str) -> None:
        """Show the current stage."""
        self._try(lambda: self.display.stage(doing))

    def begin(self, session: Session) -> None:
        """Show the data, the model and the run."""
        self._try(lambda: self.display.begin(session))

    def show(self, event: Event) -> None:
        """Show one event."""
        self._try(lambda: self.display.show(event))

    def end(self, session: Session) -> None:
        """Show the verdict."""
        self._try(lambda: self.display.end(session))

    def _try(self, show: Callable[[], object]) -> None:
        """Show something. If nobody reads it (`| head`, a pager that quits), say so and show nothing else."""
        try:
            show()
        except OSError as error:
            if not is_gone(error):
                raise
            discard_output()
            self.display = Display()
            print_note("the output is closed. Training goes on without it; Ctrl-C saves and stops.")


class JsonDisplay(Display):
    """Prints one JSON object per line on standard output. Messages keep the names of fields."""

    def _print(self, kind: str, **fields: Any) -> None:
        print_json({"event": kind, **fields})

    def stage(self, doing: str) -> None:
        """Print the current stage."""
        self._print("stage", doing=doing)

    def begin(self, session: Session) -> None:
        """Print the configuration, the data and the run."""
        config = session.trainer.config.model_dump(mode="json")
        self._print("begin", run=session.folder.path, config=config, notes=session.notes)

    def show(self, event: Event) -> None:
        """Print one event."""
        print_json(event.to_dict())

    def end(self, session: Session) -> None:
        """Print the verdict."""
        self._print("verdict", **session.verdict().to_dict())


class PlainDisplay(Display):
    """Prints lines for a log: each evaluation, and the loss every few seconds."""

    EVERY_S = 10.0

    def __init__(self, console: Terminal) -> None:
        self.console = console
        self._last = time.monotonic()
        self.unit, self.nats_to_chars, self.speed = "nats/char", 1.0, Speedometer()

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def stage(self, doing: str) -> None:
        """Print the current stage."""
        self._say(f"{doing} …")

    def begin(self, session: Session) -> None:
        """Print the configuration, the data and the run."""
        self.unit, self.nats_to_chars = session.data.unit, session.data.tokens_per_char
        for line in about(session):
            self._say(with_flags(line))

    def show(self, event: Event) -> None:
        """Print one event."""
        self.speed.see(event)
        match event:
            case StepDone() if time.monotonic() - self._last > self.EVERY_S:
                self._last = time.monotonic()
                self._say(
                    f"{event.progress:4.0%}  step {event.step}  train {event.loss * self.nats_to_chars:.3f}  "
                    f"{count(self.speed.of(event))} tokens/s  {duration(_left(event))} left"
                )
            case Evaluated():
                mark = "  best" if event.best else ""
                self._say(
                    f"step {event.step}: val {event.nats_per_char:.4f} {self.unit}{_exact(event)}{mark}"
                )
            case Stage():
                self.stage(event.doing)
            case Warned():
                self._say(f"warning: {with_flags(event.message)}")
            case _:
                pass

    def end(self, session: Session) -> None:
        """Print the verdict."""
        print_end(self.console, session, sample=_last_sample(session))


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
        self._nats_to_chars, self.speed = 1.0, Speedometer()
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
        self.doing, self.session = "", session
        self._nats_to_chars = session.data.tokens_per_char

    def show(self, event: Event) -> None:
        """Show one event."""
        self.speed.see(event)
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
                self.console.print(f"warning: {with_flags(event.message)}", style="yellow", markup=False)
            case _:
                pass

    def end(self, session: Session) -> None:
        """Print the verdict."""
        self.live.stop()
        if self.evals:
            self.console.print(self._curve())
        print_end(self.console, session, self.sample)

    def _render(self) -> Group:
        if self.session is None or self.last is None:
            return Group(self._stage() if self.doing else Text("first steps …", "dim"))
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
        return Text(f"{self.doing} …" + (f" {duration(seconds)}" if seconds >= 1 else ""), "dim")

    def _bar(self, last: StepDone) -> Table:
        row = Table.grid(padding=(0, 1))
        val = f"held out {self.val.nats_per_char:.3f}{_exact(self.val)}" if self.val else ""
        row.add_row(
            ProgressBar(total=1.0, completed=last.progress, width=12),
            f"{last.progress:.0%}",
            f"step {last.step}",
            f"train {last.loss * self._nats_to_chars:.3f}",
            val,
            f"{count(self.speed.of(last))} tok/s",
            f"{duration(_left(last))} left",
        )
        return row

    def _curve(self) -> Text:
        assert self.session is not None
        lines = [
            (score.name, score.nats_per_char)
            for score in self.session.baselines
            if score.kind != "compressor"
        ]
        width = max(20, self.console.width - 36)
        picture = chart(self.evals, lines, width=width, faint=_averaged(self.losses, 2 * width))
        name = f"loss in {self.session.data.unit}"
        return picture.append(f"{name}: ", "dim").append("held out", "cyan").append(", training\n", "dim")


class Speedometer:
    """Tokens per second over the last `WINDOW_S` seconds of training, evaluations included."""

    WINDOW_S = 10.0

    def __init__(self) -> None:
        self._done: deque[StepDone] = deque()
        self._tokens = 0

    def see(self, event: Event) -> None:
        """Count a step."""
        if isinstance(event, StepDone):
            self._done.append(event)
            self._tokens += event.tokens
            while len(self._done) > 2 and event.elapsed_s - self._done[0].elapsed_s > self.WINDOW_S:
                self._tokens -= self._done.popleft().tokens

    def of(self, last: StepDone) -> float:
        """Return the speed at the last step."""
        seconds = last.elapsed_s - self._done[0].elapsed_s if self._done else 0.0
        if seconds <= 0:
            return last.tokens_per_s
        return (self._tokens - self._done[0].tokens) / seconds  # the first step began before the window


def _exact(event: Evaluated) -> str:
    """Share of exact answers, if the task has answers."""
    return "" if event.exact is None else f", {event.exact:.1%} exact"


def _last_sample(session: Session) -> str:
    """Text of the newest sample of a run."""
    files = sorted(session.folder.samples.glob("*.txt"))
    return read_capped(files[-1], MAX_JSON).decode("utf-8", "replace") if files else ""


def _left(event: StepDone) -> float:
    """Seconds left, at the mean speed so far."""
    return event.elapsed_s / max(event.progress, 1e-9) * (1 - event.progress)


def _averaged(points: list[tuple[float, float]], n: int) -> list[tuple[float, float]]:
    """Reduce a curve to at most n points, each the mean of a group of neighbors."""
    size = -(-len(points) // n)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
