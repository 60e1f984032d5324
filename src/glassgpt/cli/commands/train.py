"""`glassgpt train`: from text to a model, watched."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import ValidationError

from glassgpt.cli.arguments import Json, Source
from glassgpt.cli.process_start import began
from glassgpt.cli.view.terminal import print_hint, working
from glassgpt.config import FIXED, Layer, RunConfig, Tables, invalid, merge, read_toml, resolve
from glassgpt.errors import UserError, command_line
from glassgpt.interrupts import end_at_once, on_signals
from glassgpt.language import N_, _, join_texts
from glassgpt.option_groups import BASICS, OUTPUT, SAVING
from glassgpt.paths import check_file

if TYPE_CHECKING:
    from glassgpt.train import Session

LENGTHS = {"steps", "minutes", "tokens"}
MIN_MINUTES = 0.2
"""Smallest length of a run by the clock; start-up alone takes 3 s on a laptop."""


def train(
    *sources: Source,
    settings: Annotated[RunConfig | None, Parameter(name="*")] = None,
    out: Annotated[Path | None, Parameter(group=BASICS)] = None,
    seeds: Annotated[int | None, Parameter(group=BASICS)] = None,
    config: Annotated[Path | None, Parameter(group=BASICS)] = None,
    resume: Annotated[Path | None, Parameter(group=SAVING)] = None,
    autopilot: Annotated[bool, Parameter(group=BASICS)] = True,
    dry_run: Annotated[bool, Parameter(negative="", group=OUTPUT)] = False,
    json: Json = False,
) -> None:
    """Train a model on your own text, pairs of texts, labeled texts or images.

    Measures baselines, trains a model and compares it with them. Without a source it learns the documentation
    of Python; without a length it takes 5 minutes.

    Parameters
    ----------
    sources
        Files, folders, globs, `-` for standard input; a corpus: python, shakespeare; or a dataset: dates,
        scenes, scenes-3x3, multi30k-en-de.
    out
        Folder of the run; by default named after the source.
    seeds
        Runs to train, with seeds 1, 2, …, and their spread.
    config
        Settings from TOML or a run's config.json; options win.
    resume
        Continue this run from its last checkpoint; --steps, --tokens or --minutes is then its total
        length.
    autopilot
        Choose what is not given for this text, machine and length, and forecast the loss.
    dry_run
        Read the sources and show every setting, its value and its origin. Trains and writes nothing.
    json
        Print events as JSON, one per line.
    """
    options = settings.given() if settings else {}
    if sources:
        options = merge(options, {"data": {"sources": sources}})
    file = read_settings(config)
    if options.get("train", {}).keys() & LENGTHS:  # a length given as an option replaces that of the file
        file["train"] = {key: value for key, value in file.get("train", {}).items() if key not in LENGTHS}
    if resume is not None and dry_run:
        raise UserError("--dry-run shows the settings of a new run. Leave --resume out.")
    if resume is not None and seeds is not None:
        raise UserError("--seeds trains new runs. Leave --resume out: the same command goes on by itself.")
    if resume is not None:
        watch_resumed(resume, resumed_config(resume, merge(file, options)), json)
        return
    given = [*([Layer(str(config), file)] if config else []), Layer("option", options)]
    _check_length(resolve(given).config)  # errors come before torch is imported
    if dry_run:
        _show_plan(given, json, autopilot)
    elif seeds is not None:
        _watch_seeds(given, seeds, out, json, autopilot)
    else:
        watch_new(given, out, json, autopilot)


def _watch_seeds(given: Sequence[Layer], n: int, out: Path | None, json: bool, autopilot: bool) -> None:
    """Train the runs of several seeds that are not done yet, and show the spread of all."""
    from glassgpt.checkpoint import Run
    from glassgpt.cli.view.seeds import print_plan_of_seeds, print_results_of_seeds
    from glassgpt.train import Dist, plan_seeds

    if Dist.from_env().world_size > 1:
        raise UserError("--seeds trains in one process. Leave torchrun out, or start each seed by itself.")
    with working("reading") as status:
        stage = lambda doing: status.update(f"{doing} …")  # noqa: E731
        runs = plan_seeds(given, n, out, stage, autopilot=autopilot)
    if not json:
        print_plan_of_seeds(runs)
    for run in runs:
        try:
            if run.state == "new":
                watch_new(run.layers, run.path, json, since=time.monotonic())
            elif run.state == "stopped":
                watch_resumed(run.path, Run.open(run.path).config(), json, since=time.monotonic())
        except SystemExit:
            print_hint(_("The same command continues all seeds."))
            raise
    print_results_of_seeds(runs, json)


def _show_plan(given: Sequence[Layer], json: bool, autopilot: bool) -> None:
    from glassgpt.cli.view.plan import print_plan
    from glassgpt.train import Clock, plan

    print_plan(plan(given, clock=Clock(began()), autopilot=autopilot), json)


def watch_new(
    layers: Sequence[Layer], out: Path | None, json: bool, autopilot: bool = False, since: float | None = None
) -> None:
    """Train a new run at `out` and show its events.

    since: the moment from which the minutes count; by default the start of the process.
    """
    from glassgpt.train import start

    since = began() if since is None else since
    _watch(lambda stage: start(layers, out, stage, began=since, autopilot=autopilot), json)


def watch_resumed(run: Path, config: RunConfig, json: bool, since: float | None = None) -> None:
    """Resume a run and show its events. since: as in `watch_new`."""
    from glassgpt.train import resume

    since = began() if since is None else since
    _watch(lambda _: resume(run, config, began=since), json)


def _watch(open_session: Callable[[Callable[[str], None]], Session], json: bool) -> None:
    """Train, and show the stages of the preparation, the events and the verdict.

    open_session: starts or resumes the run; gets the function that shows a stage.
    """
    from glassgpt.cli.view.display import make_display  # the config is right, so it is worth importing torch
    from glassgpt.train import Dist

    is_main = Dist.from_env().is_main
    display = make_display(json, silent=not is_main)
    with display:
        session = open_session(display.stage)
        with _stop_on_signal(session.trainer) as received:
            display.begin(session)
            for event in session.run():
                display.show(event)
    if session.trainer.stopping:
        if is_main:
            print_hint(_stopped(session))
        sys.exit(128 + (received[0] if received else SIGTERM))  # else another process has got the signal
    display.end(session)


def _check_length(config: RunConfig) -> None:
    """Raise UserError for a number of minutes in which no process can train."""
    minutes = config.train.minutes
    if minutes is not None and minutes < MIN_MINUTES:
        raise UserError(
            "`minutes`: {minutes:g} are too few. They count from the start of the program, which takes some "
            "seconds before it trains. Give {min_minutes:g} or more.",
            minutes=minutes,
            min_minutes=MIN_MINUTES,
        )


def _validated(given: dict[str, Any]) -> RunConfig:
    try:
        return RunConfig.model_validate(given)
    except ValidationError as error:
        raise invalid(RunConfig, error) from error


def read_settings(path: Path | None) -> Tables:
    """Read tables of settings from a TOML file, or from the config.json of a run."""
    if path is None:
        return {}
    if path.suffix != ".json":
        return read_toml(path)
    check_file(path, "--config")
    from glassgpt.checkpoint import Run, chosen_settings

    if path.name != "config.json":
        raise UserError(
            "--config {path}: not a settings file. Give a TOML file, or the config.json of a run.", path=path
        )
    return chosen_settings(Run.open(path.parent))


def resumed_config(path: Path, given: dict[str, Any]) -> RunConfig:
    """The stored configuration with what may change: how long, how often, on which device."""
    from glassgpt.checkpoint import Run

    if fixed := sorted(given.keys() - {"train"}):
        raise UserError(
            "a resumed run keeps its {fixed}: leave these options out, or start a new run",
            fixed=", ".join(fixed),
        )
    if fixed := sorted(given.get("train", {}).keys() & FIXED.keys()):
        names = join_texts(
            ", ", (N_("--{name} ({why})", name=name.replace("_", "-"), why=FIXED[name]) for name in fixed)
        )
        raise UserError(
            "{names} cannot change in a resumed run: leave it out, or start a new run", names=names
        )
    stored = Run.open(path).config().model_dump(mode="json")
    changes = given.get("train", {})
    if changes.keys() & LENGTHS:
        stored["train"] |= dict.fromkeys(LENGTHS)
    config = _validated(merge(stored, {"train": changes}))
    _check_length(config)
    return config


@contextmanager
def _stop_on_signal(trainer: Any) -> Iterator[list[int]]:
    """The first signal asks the trainer to save and stop, a second one ends the program at once.

    What is saved stays whole.
    """
    received: list[int] = []

    def handle(number: int) -> None:
        if received:
            end_at_once(128 + number)
        received.append(number)
        trainer.stop.interrupt()

    with on_signals(handle):
        yield received


def _stopped(session: Session) -> str:
    """Return the last words of a training that a signal has ended."""
    step, path = session.trainer.step, session.folder.path
    if not step:
        return _("\nstopped before the first step; nothing is left behind.")
    return _(
        "\nstopped at step {step}; everything is saved. Continue with:\n  {command}",
        step=step,
        command=command_line("resume", path),
    )
