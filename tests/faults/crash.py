"""What the fault tests share: a small run, a server of processes that train it, and what they compare."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import newest_valid, steps

WATCH, KILL_BEFORE, KILL_AFTER, KILL_WITHIN, FAIL_ONCE, DISK_FULL = range(6)  # as in shim.c
TEXT = "".join(f"Verse {i}: {i * 7 % 31} swans upon the lake, {i * 5 % 13} ashore.\n" for i in range(120))
MODEL = {"size": "nano", "n_layer": 1, "n_head": 2, "n_embd": 32, "block_size": 16, "dropout": 0.1}
TRAIN = {"steps": 6, "evals": 3, "sample_tokens": 4, "micro_batch_size": 4, "save_minutes": 1e-9}
FILES = ("model.safetensors", "optimizer.safetensors")

Weights = dict[str, bytes]
"""The tensor files of one step: equal bytes mean equal tensors, to the last bit."""


@dataclass(frozen=True)
class Fault:
    """What the shim does at call `number` below `folder` ("": nowhere); `log` receives all calls."""

    folder: str
    mode: int = WATCH
    number: int = 0
    error: int = errno.ENOSPC
    log: str = ""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, negative for a signal, and all that it printed."""

    code: int
    output: str

    @property
    def crashed(self) -> bool:
        """Whether it said something that only a developer can read."""
        return "Traceback" in self.output

    @property
    def went_on(self) -> bool:
        """Whether a resumed run reached its end, or had already."""
        return not self.crashed and (self.code == 0 or (self.code == 2 and "is finished" in self.output))


class Server:
    """Forks processes that have torch loaded. See worker.py."""

    def __init__(self, folder: Path, shim: Path) -> None:
        self.folder, self.config, self.n = folder, folder / "config.toml", 0
        (folder / "text.txt").write_text(TEXT, "utf-8")
        self.settings = {"data": {"sources": [str(folder / "text.txt")]}, "model": MODEL, "train": TRAIN}
        self.config.write_text(toml(self.settings), "utf-8")
        with (folder / "server.txt").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("worker.py")), str(shim), str(self.config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "500"},
            )
        if not self._line():
            raise RuntimeError("the server did not start: " + (folder / "server.txt").read_text())

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, one answer."""
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self._line())

    def spawn(self, arguments: list[str], fault: Fault | None = None) -> tuple[int, Path]:
        """Start `glassgpt ARGUMENTS`; returns its process id and where its output goes."""
        self.n += 1
        output = self.folder / f"output-{self.n}.txt"
        output.touch()  # there, even if the process is killed before it can write
        request = {"arguments": arguments, "output": str(output), "fault": asdict(fault or Fault(""))}
        return self.ask(**request)["pid"], output

    def wait(self, process: tuple[int, Path]) -> Ended:
        """How a process that was spawned ends."""
        code, (_, output) = self.ask(wait=process[0])["code"], process
        text = output.read_text("utf-8")
        output.unlink()
        return Ended(code, text)

    def train(self, run: Path, fault: Fault | None = None, *more: str) -> Ended:
        """A new run at `run`."""
        return self.wait(self.spawn(self.training(run, *more), fault))

    def training(self, run: Path, *more: str) -> list[str]:
        """The command that starts a new run at `run`."""
        return ["train", "--config", str(self.config), "--out", str(run), *more]

    def resume(self, run: Path, fault: Fault | None = None, *more: str) -> Ended:
        """Go on with the run at `run`."""
        return self.wait(self.spawn(["train", "--resume", str(run), *more], fault))

    def logged(self, run: Path, before: Path | None = None) -> Path:
        """Train a run, and log all it does on disk; or only its training, with a copy of the run `before`."""
        log, output = run.with_name(run.name + ".log"), run.with_name(run.name + ".txt")
        request = {"logged": self.settings, "before": str(before) if before else ""}
        fault = asdict(Fault(str(run), log=str(log)))
        pid = self.ask(**request, output=str(output), fault=fault)["pid"]
        ended = self.wait((pid, output))
        assert ended.code == 0, ended.output
        return log

    def stop(self) -> None:
        """End the server, and close its pipes."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def toml(settings: dict[str, dict[str, Any]]) -> str:
    tables = (
        f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        for table, values in settings.items()
    )
    return "\n".join(tables)


def weights_of(step: Path) -> Weights:
    """The tensor files of a step."""
    return {name: (step / name).read_bytes() for name in FILES}


def newest(run: Path) -> tuple[str, list[str]]:
    """The name of the newest whole step ("" where there is none), and what is wrong with newer ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step, problems = newest_valid(steps(run / "checkpoints"))
    return step.name if step else "", problems


def stale_files(run: Path) -> list[str]:
    """Temporary files that nobody will need."""
    return sorted(str(p.relative_to(run)) for p in run.rglob(".*") if not p.name.startswith(".lock"))


def assert_ends_like(run: Path, reference: dict[str, Weights]) -> None:
    """The run's last step is the unbroken run's, and equal to it bit for bit."""
    name, problems = newest(run)
    assert not problems and name == max(reference)
    assert weights_of(run / "checkpoints" / name) == reference[name]
