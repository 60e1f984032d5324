"""The end of a run at any time: nothing half-made stays, and the same command works again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glassgpt.checkpoint import Run, is_abandoned, steps
from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.interrupts import RaiseStopped, Stopped, StopRequest, on_signals, run_in_thread
from glassgpt.train import Dist, Evaluated, Event, Observer, StepDone, resume, start, start_run
from glassgpt.train.new_path import new_path
from helpers.tiny_run import tiny_config

TEXT = "".join(f"{i} geese, {i * 7 % 31} swans, {i * i % 13} ducks ashore.\n" for i in range(400))


def config(folder: Path, **train: Any) -> RunConfig:
    (folder / "a.txt").write_text(TEXT)
    return tiny_config(folder / "a.txt", {"steps": 6, "evals": 2, "sample_tokens": 4} | train)


def test_a_stop_before_the_first_step_leaves_nothing(tmp_path: Path) -> None:
    run = start(config(tmp_path), tmp_path / "runs" / "a")
    run.trainer.request_stop()
    assert not list(run.run())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("place", ["_create_run", "_make_trainer", "train_tokenizer", "plan"])
def test_a_signal_while_preparing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    before = getattr(start_run, place)

    def killed(*arguments: Any, **named: Any) -> Any:
        result = before(*arguments, **named)
        os.kill(os.getpid(), signal.SIGTERM)
        return result

    monkeypatch.setattr(start_run, place, killed)
    with pytest.raises(Stopped) as stopped, on_signals(RaiseStopped()):
        start(config(tmp_path), tmp_path / "runs" / "a")
    assert stopped.value.number == signal.SIGTERM
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def killed_run(tmp_path: Path) -> Path:
    """A folder as a kill leaves it before the first save."""
    run = start(config(tmp_path), tmp_path / "runs" / "a")
    path = run.folder.path
    kept = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    run.close()
    for file, content in kept.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (path / "checkpoints" / ".writing-step-0000000003").mkdir(parents=True)
    (path / "metrics.jsonl").write_text('{"event": "step", "step": 1}\n')
    return path


def test_after_a_kill_the_same_command_works_again(tmp_path: Path) -> None:
    path = killed_run(tmp_path)
    assert is_abandoned(path) and new_path(config(tmp_path), path.parent) == path
    with pytest.raises(UserError, match="a new run replaces it"):
        resume(path)
    again = start(config(tmp_path), path)
    assert len([event for event in again.run() if isinstance(event, StepDone)]) == 6
    assert len([row for row in Run(path).metrics() if row["event"] == "step"]) == 6
    with pytest.raises(UserError, match="not empty"):
        start(config(tmp_path), path)


@pytest.mark.parametrize(
    "name", ["notes.txt", "data/own.csv", "samples/own/a.txt", "checkpoints/step-0000000001/x"]
)
def test_a_folder_with_anything_else_is_not_touched(tmp_path: Path, name: str) -> None:
    path = killed_run(tmp_path)
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        start(config(tmp_path), path)
    assert (path / name).read_text() == "mine"


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"format": 2, "name": "a package"}'])
def test_the_config_of_another_program_is_not_touched(tmp_path: Path, content: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/config.json").write_text(content)
    with pytest.raises(UserError, match="not empty"):
        start(config(tmp_path), tmp_path / "own")


class At(Observer):
    """Calls something when the trainer is at a place."""

    def __init__(self, kind: type[Event], step: int, call: Callable[[], None]) -> None:
        self.kind, self.step, self.call = kind, step, call

    def on_event(self, event: Event) -> None:
        if isinstance(event, self.kind) and getattr(event, "step", None) == self.step:
            self.call()


@pytest.mark.parametrize("place", ["measure", "sample"])
def test_a_signal_ends_an_evaluation_and_a_sample_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The step is saved, and the resumed run evaluates it again."""
    run = start(config(tmp_path), tmp_path / "run")
    trainer = run.trainer
    owner = trainer.learner if place == "measure" else trainer.task

    def endless(*_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGHUP)
        raise AssertionError("the signal did not end this")

    monkeypatch.setattr(owner, place, endless)
    with on_signals(lambda number: trainer.stop.interrupt()):
        events = list(run.run())
    evaluated = [event.step for event in events if isinstance(event, Evaluated)]
    assert evaluated == ([] if place == "measure" else [3])
    assert steps(tmp_path / "run/checkpoints")[0].name == "step-0000000003"
    rest = list(resume(tmp_path / "run").run())
    evaluated = [event.step for event in rest if isinstance(event, Evaluated)]
    assert evaluated == ([3, 6] if place == "measure" else [6])


def test_a_signal_ends_the_verdict_and_resume_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(config(tmp_path), tmp_path / "run")

    def endless() -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal did not end this")

    monkeypatch.setattr(run, "verdict", endless)
    with on_signals(lambda number: run.trainer.stop.interrupt()):
        list(run.run())
    assert run.trainer.step == 6 and not run.folder.verdict_file.exists()
    list(resume(tmp_path / "run").run())
    assert run.folder.verdict_file.exists()


def test_a_step_is_never_interrupted(tmp_path: Path) -> None:
    run = start(config(tmp_path, evals=1), tmp_path / "run")
    run.trainer.observers = (At(StepDone, 2, lambda: os.kill(os.getpid(), signal.SIGTERM)),)
    with on_signals(lambda number: run.trainer.stop.interrupt()):
        events = list(run.run())
    assert [event.step for event in events if isinstance(event, StepDone)] == [1, 2]


def test_a_signal_while_the_processes_agree_counts_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not lost, and no process stops before all of them know."""
    run = start(config(tmp_path, evals=1), tmp_path / "run")
    agree, told = Dist.all_reduce_max, []

    def interrupted(dist: Dist, *numbers: float) -> list[float]:
        agreed = agree(dist, *numbers)
        if run.trainer.step == 2 and not told:
            told.append(os.kill(os.getpid(), signal.SIGTERM))
        return agreed

    monkeypatch.setattr(Dist, "all_reduce_max", interrupted)
    with on_signals(lambda number: run.trainer.stop.interrupt()):
        events = list(run.run())
    assert told and [event.step for event in events if isinstance(event, StepDone)] == [1, 2, 3]


def test_a_request_comes_before_the_call() -> None:
    stop = StopRequest()
    stop.requested = True
    assert stop.unless_stopped(lambda: 3) is None


def test_a_call_in_a_thread_returns_and_raises() -> None:
    assert run_in_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        run_in_thread(divmod, 7, 0)


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_the_command_heeds_a_signal_in_a_long_call_into_c(tmp_path: Path, name: str, code: int) -> None:
    """A call that would take minutes ends at once, and temporary files are gone."""
    program = (
        "import os, signal, threading, time, tempfile, weakref, shutil\n"
        "from glassgpt.cli import main as cli\n"
        "from glassgpt.interrupts import run_in_thread\n"
        "def app() -> None:\n"
        f"    folder = tempfile.mkdtemp(dir={str(tmp_path)!r})\n"
        "    weakref.finalize(app, shutil.rmtree, folder)\n"
        f"    threading.Timer(0.3, os.kill, (os.getpid(), signal.{name})).start()\n"
        "    run_in_thread(time.sleep, 600)\n"
        "from cyclopts import App\n"
        "cli.app = App(default_command=app)\n"
        "cli.main([])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200)
    assert (ended.returncode, ended.stderr) == (code, "glassgpt: interrupted\n")
    assert not list(tmp_path.iterdir())
