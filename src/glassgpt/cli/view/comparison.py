"""A comparison on the terminal: what is shared, a row for each pair, and the answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.table import Table
from rich.text import Text

from glassgpt.cli.flags import with_flags
from glassgpt.cli.view.terminal import Terminal, print_hint, print_json, working
from glassgpt.diagnose import Comparison, Paired, Sweep, nats_figure
from glassgpt.interrupts import Stopped, on_signals
from glassgpt.language import N_, _
from glassgpt.train import Event, Experiment, Stage, StepDone
from glassgpt.train.comparison import TrialBegan, TrialMeasured
from glassgpt.units import count, duration

UNITS = {"steps": N_("{n} steps"), "tokens": N_("{n} tokens"), "flops": N_("{n} operations")}
"""Texts for the units of a length."""


def watch(experiment: Experiment, words: Mapping[str, str], as_json: bool) -> None:
    """Train what is missing, and show it. Exits with 128 + n after signal n; the trainings are saved.

    words: the settings of each arm as the user gave them, by its name.
    """
    received: list[int] = []

    def handle(number: int) -> None:
        received.append(number)
        if experiment.session is None or len(received) > 1:
            raise Stopped(number)
        experiment.session.trainer.stop.interrupt()

    console = Terminal()
    if not as_json:
        _print_head(console, experiment, words)
    # one console for rows and status, where there is a terminal: rows appear above the status
    live = console.is_terminal and not as_json
    with on_signals(handle), console.status(_("preparing …")) if live else working(_("preparing")) as status:
        rows = _Rows(experiment)
        last = time.monotonic()
        for event in experiment.run():
            if isinstance(event, StepDone) and time.monotonic() - last < 0.2:
                continue
            last = time.monotonic()
            status.update(_doing(event, experiment) or status.status)
            if isinstance(event, TrialMeasured) and not as_json and (line := rows.new()):
                console.say(line)
        if not as_json and (line := rows.new()):  # finished by an earlier call
            console.say(line)
    if experiment.session is not None:
        print_hint(_("\nstopped; everything is saved. Give the same command to go on."))
        sys.exit(128 + (received[0] if received else 15))


def _print_head(console: Terminal, experiment: Experiment, words: Mapping[str, str]) -> None:
    for name, text in (words or {str(i): arm for i, arm in enumerate(experiment.names, 1)}).items():
        console.say(f"{name:<6} {text}")
    seeds = _("seeds {first} to {last}", first=experiment.seeds[0], last=experiment.seeds[-1])
    console.say(
        _(
            "equal  {length} each; up to {pairs} pairs, {seeds}",
            length=_length(experiment),
            pairs=experiment.pairs,
            seeds=seeds,
        ),
        "dim",
    )
    console.say(_("kept   {folder}\n", folder=experiment.folder), "dim")


def _length(experiment: Experiment) -> str:
    for unit, amount in experiment.length.items():
        if unit == "minutes":
            return _("{time} of time", time=duration(60 * amount))
        return _(UNITS[unit], n=count(amount))
    return _("the length of its own settings")


def _doing(event: Event, experiment: Experiment) -> str | None:
    """Return a few words for the line that shows what goes on; None to keep it."""
    match event:
        case Stage():
            return f"{_(event.doing)} …"
        case TrialBegan():
            return _(
                "pair {pair} of {pairs}, {arm} …", pair=event.pair, pairs=experiment.pairs, arm=event.arm
            )
        case StepDone():
            done = _(
                "{progress:.0f} %, {loss:.3f} nats per token", progress=100 * event.progress, loss=event.loss
            )
            return _(
                "pair {pair} of {pairs}, {arm}: {done}",
                pair=len(experiment.losses) + 1,
                pairs=experiment.pairs,
                arm=experiment.training,
                done=done,
            )
    return None


class _Rows:
    """Lines of a table that grows by a row for each finished pair."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.shown = experiment, 0
        names = experiment.names
        self.is_pair = names == ["A", "B"]
        self.heads = names if self.is_pair else [str(i) for i in range(1, len(names) + 1)]

    def new(self) -> str:
        """Return the rows that were not shown yet, the first ones with their head."""
        losses = self.experiment.losses
        lines = [self._row(i, losses[i]) for i in range(self.shown, len(losses))]
        if lines and not self.shown:
            heads = [*self.heads, *(["A − B"] if self.is_pair else [])]
            head = "  ".join([_("pair"), *(head.rjust(7) for head in heads)])
            lines.insert(0, head + _("   (losses: lower is better)"))
        self.shown = len(losses)
        return "\n".join(lines)

    def _row(self, at: int, losses: tuple[float, ...]) -> str:
        cells = [f"{loss:.4f}" for loss in losses]
        if self.is_pair:
            cells.append(f"{losses[0] - losses[1]:+.4f}".replace("-", "−"))
        return "  ".join([f"{at + 1:>4}", *(cell.rjust(7) for cell in cells)])


def print_comparison(experiment: Experiment, found: Comparison, as_json: bool) -> None:
    """Print the answer, its interval, and remarks."""
    if as_json:
        print_json({**_about(experiment), **found.to_dict()}, indent=1)
        return
    console = Terminal()
    _print_answer(console, found)
    console.notes(experiment.notes)


@contextmanager
def working_on_pairs(pairs: int, as_json: bool) -> Iterator[Callable[[int], object]]:
    """Show which pair is being made; yields a function to call with its number."""
    console = Terminal()
    live = console.is_terminal and not as_json
    with console.status(_("preparing …")) if live else working(_("sampling")) as status:
        yield lambda pair: status.update(_("pair {pair} of {pairs} …", pair=pair, pairs=pairs))


def print_samplers(found: Comparison, words: tuple[str, str], run: str, as_json: bool) -> None:
    """Print a comparison of two ways of sampling: each pair, and the answer."""
    if as_json:
        print_json({"samplers": list(words), "run": run, **found.to_dict()}, indent=1)
        return
    console = Terminal()
    for name, way in zip(found.names, words, strict=True):
        console.say(f"{name:<6} {way}")
    console.say(
        _("loss of the held-out text of {run}, by n-grams counted on what each writes\n", run=run), "dim"
    )
    for i, (a, b) in enumerate(found.losses, 1):
        console.say(f"{i:>5}  A {a:.3f}   B {b:.3f}   {b - a:+.3f}")
    _print_answer(console, found)


def _print_answer(console: Terminal, found: Comparison) -> None:
    """Print the sentence, its interval and what would have been seen."""
    console.print(f"\n{with_flags(found.sentence)}")
    paired = found.paired
    if paired.low is not None and paired.high is not None and paired.bca is not None:
        console.say(
            _(
                "95 % of A − B: {signs} by signs, {bootstrap} by bootstrap",
                signs=_span(paired.low, paired.high, paired),
                bootstrap=_span(*paired.bca, paired),
            ),
            "dim",
        )
    if paired.detectable is not None and any(paired.differences):
        console.say(
            _("detectable in 8 of 10: {nats} nats per character", nats=nats_figure(paired.detectable)), "dim"
        )


def print_sweep(experiment: Experiment, found: Sweep, as_json: bool) -> None:
    """Print a table of the values, the answer, and remarks."""
    if as_json:
        print_json({**_about(experiment), **found.to_dict()}, indent=1)
        return
    console = Terminal()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", _("mean loss"), _("better by"), "95 %", _("p (Holm)"), _("detectable")):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    means, reference = found.means, experiment.names[0]
    table.add_row(Text(reference), f"{means[reference]:.4f}", _("reference"), "", "", "")
    for each in found.comparisons:
        paired, name = each.paired, each.name
        low, high = paired.low, paired.high
        limits = "" if low is None or high is None else _span(low, high, paired)
        seen = "" if paired.detectable is None else nats_figure(paired.detectable)
        table.add_row(
            Text(name), f"{means[name]:.4f}", nats_figure(paired.mean), limits, f"{each.p:.3f}", seen
        )
    console.print()
    console.table(table)
    console.print(f"\n{with_flags(found.sentence)}")
    console.notes(experiment.notes)


def _span(low: float, high: float, paired: Paired) -> str:
    """Return an interval with the decimals of its mean."""
    return _("{low} to {high}", low=nats_figure(low, paired.mean), high=nats_figure(high, paired.mean))


def _about(experiment: Experiment) -> dict[str, object]:
    return {"folder": str(experiment.folder), **experiment.asked, "notes": experiment.notes}
