"""What a person, a log or a program sees while a model trains: three displays of the same events."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from glassgpt.cli.view.render import chart, count, duration
from glassgpt.cli.view.summary import about, panel, print_end
from glassgpt.train import Evaluated, Event, Sampled, Session, StepDone, Warned


def make_display(as_json: bool, silent: bool = False) -> Display:
    """The display that fits where the output goes; none for a process that is one of several."""
    if silent:
        return Display()
    if as_json:
        return JsonDisplay()
    console = Console()
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class Display:
    """Shows a session from its first stage to its verdict; as a context, it leaves the terminal as it was.

    This one shows nothing.
    """

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def stage(self, doing: str) -> None:
        """Say what is being prepared."""

    def begin(self, session: Session) -> None:
        """Say what will be trained."""

    def show(self, event: Event) -> None:
        """Show what has just happened."""

    def end(self, session: Session) -> None:
        """Give the verdict and the next steps."""


class JsonDisplay(Display):
    """One JSON object a line on standard output."""

    def _print(self, kind: str, **fields: Any) -> None:
        print(json.dumps({"event": kind, **fields}, ensure_ascii=False, default=str), flush=True)

    def stage(self, doing: str) -> None:
        self._print("stage", doing=doing)

    def begin(self, session: Session) -> None:
        config = session.trainer.config.model_dump(mode="json")
        self._print("begin", run=session.folder.path, config=config, notes=session.notes)

    def show(self, event: Event) -> None:
        self._print(type(event).__name__, **asdict(event))

    def end(self, session: Session) -> None:
        self._print("verdict", **session.verdict().to_dict())


class PlainDisplay(Display):
    """Lines for a log: every evaluation, and the loss every few seconds."""

    EVERY_S = 10.0

    def __init__(self, console: Console) -> None:
        self.console = console
        self._last = time.monotonic()

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def stage(self, doing: str) -> None:
        self._say(f"{doing} …")

    def begin(self, session: Session) -> None:
        for line in about(session):
            self._say(line)

    def show(self, event: Event) -> None:
        match event:
            case StepDone() if time.monotonic() - self._last > self.EVERY_S:
                self._last = time.monotonic()
                self._say(
                    f"{event.progress:4.0%}  step {event.step}  loss {event.loss:.3f}  "
                    f"{count(event.tokens_per_s)} tokens/s  {duration(_left(event))} left"
                )
            case Evaluated():
                mark = "  best" if event.best else ""
                self._say(f"step {event.step}: val {event.nats_per_char:.4f} nats/char{_exact(event)}{mark}")
            case Warned():
                self._say(f"warning: {event.message}")
            case _:
                pass

    def end(self, session: Session) -> None:
        print_end(self.console, session, sample=_last_sample(session))


class LiveDisplay(Display):
    """A view that redraws itself: progress, the loss curve between its baselines, what the model writes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.doing = ""
        self.session: Session | None = None
        self.last: StepDone | None = None
        self.val: Evaluated | None = None
        self.sample = ""
        self.points: list[tuple[float, float]] = []
        self._nats_to_chars = 1.0
        # Last: it renders once at birth.
        self.live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._render)

    def __enter__(self) -> Display:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def stage(self, doing: str) -> None:
        self.doing = doing

    def begin(self, session: Session) -> None:
        for line in about(session):
            self.console.print(line, markup=False, highlight=False)
        self.doing, self.session = "", session
        self._nats_to_chars = session.task.tokens_per_char

    def show(self, event: Event) -> None:
        match event:
            case StepDone():
                self.last = event
                self.points.append((event.progress, event.loss * self._nats_to_chars))
            case Evaluated():
                self.val = event
            case Sampled():
                self.sample = event.text
            case Warned():
                self.console.print(f"warning: {event.message}", style="yellow", markup=False)
            case _:
                pass

    def end(self, session: Session) -> None:
        self.live.stop()
        if len(self.points) > 1:
            self.console.print(self._curve())
        print_end(self.console, session, self.sample)

    def _render(self) -> Group:
        if self.session is None or self.last is None:
            return Group(
                Text(f"{self.doing} …" if self.doing else "first look at the held-out text …", "dim")
            )
        parts: list[Any] = [self._bar(self.last)]
        if len(self.points) > 1:
            parts.append(self._curve())
        if self.sample:
            parts.append(panel(self.sample, 6, style="dim"))
        return Group(*parts)

    def _bar(self, last: StepDone) -> Table:
        row = Table.grid(padding=(0, 1))
        val = f"val {self.val.nats_per_char:.3f}{_exact(self.val)}" if self.val else ""
        row.add_row(
            ProgressBar(total=1.0, completed=last.progress, width=12),
            f"{last.progress:.0%}",
            f"step {last.step}",
            f"loss {last.loss * self._nats_to_chars:.3f}",
            val,
            f"{count(last.tokens_per_s)} tok/s",
            f"{duration(_left(last))} left",
        )
        return row

    def _curve(self) -> Text:
        assert self.session is not None
        lines = [(score.name, score.nats_per_char) for score in self.session.baselines if score.name != "xz"]
        points = _averaged(self.points, 120)
        return chart(points, lines, width=max(20, self.console.width - 36))


def _exact(event: Evaluated) -> str:
    return "" if event.exact is None else f", {event.exact:.1%} exact"


def _last_sample(session: Session) -> str:
    files = sorted(session.folder.samples.glob("*.txt"))
    return files[-1].read_text("utf-8") if files else ""


def _left(event: StepDone) -> float:
    """Seconds to go, if the rest is as fast as what is done."""
    return event.elapsed_s / max(event.progress, 1e-9) * (1 - event.progress)


def _averaged(points: list[tuple[float, float]], n: int) -> list[tuple[float, float]]:
    """At most n points, each the mean of its neighbors."""
    size = -(-len(points) // n)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
