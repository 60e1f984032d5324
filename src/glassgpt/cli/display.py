"""What a person, a log or a program sees while a model trains: three displays of the same events."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from dataclasses import asdict
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from glassgpt.cli.opening import command_for
from glassgpt.cli.render import chart, count, duration, printable, verdict_table
from glassgpt.config import DataConfig, ModelConfig
from glassgpt.data import MEASURED
from glassgpt.train import AnswerTask, Evaluated, Event, GapTask, Sampled, Session, StepDone, TextTask, Warned

USES = {
    "sample": "Let it write  glassgpt sample {}",
    "translate": 'Use it        glassgpt translate {} "a text like those it learned from"',
    "ask": 'Use it        glassgpt ask {0} {0}/samples/held-out.png "a question"',
    "fill": 'Use it        glassgpt fill {} "a text with [?] gaps"',
    "classify": 'Use it        glassgpt classify {} "a text"',
}
"""What to do with a finished run, by the command that is for it."""


def make_display(as_json: bool) -> Display:
    """The display that fits where the output goes."""
    if as_json:
        return JsonDisplay()
    console = Console()
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class Display(ABC):
    """Shows a session from its first stage to its verdict; as a context, it leaves the terminal as it was."""

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def stage(self, doing: str) -> None:
        """Say what is being prepared."""

    @abstractmethod
    def begin(self, session: Session) -> None:
        """Say what will be trained."""

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show what has just happened."""

    @abstractmethod
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
        for line in _about(session):
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
        _print_end(self.console, session, sample=_last_sample(session))


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
        for line in _about(session):
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
        _print_end(self.console, session, self.sample)

    def _render(self) -> Group:
        if self.session is None or self.last is None:
            return Group(
                Text(f"{self.doing} …" if self.doing else "first look at the held-out text …", "dim")
            )
        parts: list[Any] = [self._bar(self.last)]
        if len(self.points) > 1:
            parts.append(self._curve())
        if self.sample:
            parts.append(_panel(self.sample, 6, style="dim"))
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


def _material(session: Session) -> list[str]:
    """What is learned from, a line each."""
    match session.task:
        case AnswerTask(data=data) as task:
            images = f", {count(len(data.train.images))} images" if data.train.images is not None else ""
            labels = task.config.model.labels
            classes = f", {len(labels)} classes" if labels else ""
            n_train, n_val = count(len(data.train)), count(len(data.val))
            return [f"examples   {n_train} to learn{images}{classes}, {n_val} held out"]
        case TextTask(data=data) as task:
            n_train, n_val = count(data.train.n_chars), count(data.val.n_chars)
            lines = [f"text       {n_train} characters to learn, {n_val} held out"]
            if isinstance(task, GapTask):
                hidden = f"{task.config.train.mask_fraction:.0%} of the tokens hidden to learn"
                lines.append(f"gaps       {hidden}, {MEASURED:.0%} to measure")
            return lines
        case _:
            return []


def _shape(config: ModelConfig) -> str:
    """The family and, of a transformer, its layers and width.

    >>> _shape(ModelConfig.model_validate({"family": "seq2seq", "n_encoder_layer": 3}))
    'seq2seq modern 3 + 4 × 128'
    """
    if config.family == "bigram":
        return config.family
    encoder = f"{config.encoder_layers} + " if config.family in ("seq2seq", "captioner") else ""
    return f"{config.family} {config.preset} {encoder}{config.n_layer} × {config.n_embd}"


def _about(session: Session) -> list[str]:
    trainer = session.trainer
    config, n_params = trainer.config, count(trainer.model.n_params)
    dtype = str(trainer.dtype).removeprefix("torch.")
    unasked = config.data == DataConfig()
    return [
        *(["no text was given: this learns the documentation of Python"] if unasked else []),
        *(f"note: {note}" for note in session.notes),
        *_material(session),
        f"tokenizer  {session.task.tokenizer.describe()}",
        f"model      {_shape(config.model)}, {n_params} parameters, block {config.model.block_size}, "
        f"on {trainer.device} in {dtype}",
        f"run        {session.folder.path}",
        "",
    ]


def _print_end(console: Console, session: Session, sample: str) -> None:
    verdict = session.verdict()
    path = session.folder.path
    if sample:
        console.print(_panel(sample, 12))
    console.print(verdict_table(verdict))
    console.print(f"\n{verdict.sentence}\n", markup=False, highlight=False)
    console.print(
        f"{USES[command_for(session.trainer.config.model)].format(path)}\n"
        f"Go on         glassgpt resume {path} {_longer(session)}\n"
        "Compare runs  glassgpt runs",
        style="dim",
        markup=False,
        highlight=False,
    )


def _longer(session: Session) -> str:
    """The options that double the length of a run."""
    budget = session.trainer.budget
    return f"--steps {2 * budget.steps}" if budget.steps else f"--minutes {(budget.seconds or 0) / 30:g}"


def _last_sample(session: Session) -> str:
    files = sorted(session.folder.samples.glob("*.txt"))
    return files[-1].read_text("utf-8") if files else ""


def _left(event: StepDone) -> float:
    """Seconds to go, if the rest is as fast as what is done."""
    return event.elapsed_s / max(event.progress, 1e-9) * (1 - event.progress)


def _averaged(points: list[tuple[float, float]], n: int) -> list[tuple[float, float]]:
    """At most n points, each the mean of its neighbours."""
    size = -(-len(points) // n)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def _panel(sample: str, lines: int, style: str = "") -> Panel:
    """The first lines of a sample in a frame."""
    text = "\n".join(printable(sample).strip("\n").split("\n")[:lines])
    return Panel(Text(text, overflow="fold"), title="it writes", title_align="left", style=style)
