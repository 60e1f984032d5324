"""Trainings that the page starts: the ordinary commands, as processes of their own that outlive the lab."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from glassgpt.checkpoint import Run, is_locked
from glassgpt.config import RunConfig, flat_fields
from glassgpt.errors import UserError, cannot_write
from glassgpt.lab.catalog import run_id
from glassgpt.lab.requests import ResumeRequest, TrainRequest
from glassgpt.language import language
from glassgpt.safe_io import read_capped

KEPT = ".lab"
"""Folder next to the runs with pasted texts and the output of trainings."""
NAME = re.compile(r"\w[\w -]{0,59}")
TABLES = ("tokenizer", "model", "train")
"""Tables of the configuration whose settings the page offers; the others name files."""
PLAN_TIMEOUT = 180
ENDING_S = 30
"""Seconds that a process has to end after it has left its run."""
MAX_OUTPUT = 1 << 22
TAIL = 4_000
"""Characters of a training's output that the page shows."""


@dataclass
class Training:
    """A process that trains a run, and the file with its output."""

    process: subprocess.Popen[bytes]
    output: Path

    def has_ended(self, run: Path) -> bool:
        """Return True if its process has ended. One that has left the run is waited for."""
        if self.process.poll() is None and not is_locked(run):
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(ENDING_S)
        return self.process.poll() is not None

    def state(self) -> dict[str, Any]:
        """Return whether it runs, its exit code, and the end of its output."""
        code = self.process.poll()
        text = read_capped(self.output, MAX_OUTPUT).decode("utf-8", "replace")
        return {"running": code is None, "code": code, "output": text[-TAIL:]}


class Trainings:
    """Starts, stops and resumes trainings below a folder of runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._of: dict[str, Training] = {}

    def plan(self, asked: TrainRequest) -> str:
        """Return what `glassgpt plan` says about a text. Raises UserError with its message."""
        file = self._keep(asked)
        command = ["plan", str(file), "--minutes", f"{asked.minutes:g}", *_size(asked)]
        try:
            done = subprocess.run(
                _command(command), capture_output=True, timeout=PLAN_TIMEOUT, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(
                "the plan took longer than {n} seconds. Try again when the machine is idle.", n=PLAN_TIMEOUT
            ) from error
        if done.returncode:
            raise UserError(_last_line(done.stderr.decode("utf-8", "replace")))
        return done.stdout.decode("utf-8", "replace")

    def start(self, asked: TrainRequest) -> str:
        """Start a training and return the run's id. Raises UserError for unusable names and settings."""
        out = self.folder / _checked_name(asked.name)
        if out.exists():
            raise UserError("{name}: there is a run with this name. Choose another one.", name=asked.name)
        settings = [f"{_flag(name)}={value}" for name, value in asked.settings.items()]
        file = self._keep(asked)
        words = ["train", str(file), "--minutes", f"{asked.minutes:g}", "--out", str(out)]
        return self._run(out, [*words, *_size(asked), *settings])

    def resume(self, run: Run, asked: ResumeRequest) -> str:
        """Resume a run, up to a number of minutes in total; return its id."""
        return self._run(run.path, ["resume", str(run.path), "--minutes", f"{asked.minutes:g}"])

    def stop(self, id: str) -> None:
        """Ask a training that this lab started to save and stop. Raises UserError for any other one.

        The owner that a run's folder names is not believed: it could name any process.
        """
        training = self._of.get(id)
        if training is None or training.process.poll() is not None:
            raise UserError(
                "this lab has not started this training. Press Ctrl-C in the terminal where it runs."
            )
        training.process.send_signal(signal.SIGINT)

    def state(self, id: str) -> dict[str, Any]:
        """Return the state of a training that this lab started. Raises UserError for any other one."""
        if id not in self._of:
            raise UserError("this lab has not started this training.")
        return self._of[id].state()

    def _run(self, out: Path, words: list[str]) -> str:
        id = run_id(out)
        if id in self._of and not self._of[id].has_ended(out):
            raise UserError("{name} is training already. Stop it first.", name=out.name)
        output = self._kept() / f"{out.name}.log"
        with output.open("wb") as file:
            process = subprocess.Popen(
                _command(words),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the end of the lab does not end it
            )
        self._of[id] = Training(process, output)
        return id

    def _keep(self, asked: TrainRequest) -> Path:
        """Write the pasted text to a file that the run names as its source."""
        file = self._kept() / f"{_checked_name(asked.name)}.txt"
        try:
            file.write_text(asked.text, "utf-8")
        except OSError as error:
            raise cannot_write(file, error) from error
        return file

    def _kept(self) -> Path:
        if (self.folder / "config.json").is_file():
            raise UserError("this lab shows a single run. Start it with the folder of your runs to train.")
        folder = self.folder / KEPT
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        return folder


def offered_settings() -> list[dict[str, Any]]:
    """Return name, default and values of each setting that the page offers, from the schema."""
    return [
        {"name": name.rstrip("_"), "default": _shown(field.default), "choices": _choices(field.annotation)}
        for name, (dotted, field) in flat_fields(RunConfig).items()
        if dotted.partition(".")[0] in TABLES and name not in ("minutes", "size")
    ]


def _choices(annotation: Any) -> list[str]:
    """Return the values of a setting with few of them."""
    return [
        str(value)
        for each in (annotation, *get_args(annotation))
        if getattr(each, "__origin__", None) is Literal
        for value in get_args(each)
    ]


def _shown(default: Any) -> str:
    return "" if default is None or type(default).__name__ == "PydanticUndefinedType" else str(default)


def _flag(name: str) -> str:
    if name not in {each["name"] for each in offered_settings()}:
        raise UserError("{name}: this setting is unknown. Choose one of the list.", name=name)
    return "--" + name.replace("_", "-")


def _size(asked: TrainRequest) -> list[str]:
    return [f"--size={asked.size}"] if asked.size else []


def _checked_name(name: str) -> str:
    """Return a name that stays one folder below the runs. Raises UserError for any other one."""
    if not NAME.fullmatch(name) or name != name.strip():
        raise UserError(
            "{name!r} cannot be the name of a run. Use letters, digits, spaces, - and _, at most 60.",
            name=name[:60],
        )
    return name


def _command(words: list[str]) -> list[str]:
    """Return a command that answers in the language of the request."""
    return [sys.executable, "-m", "glassgpt", "--lang", language(), *words]


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("glassgpt: ") if lines else "glassgpt plan"
