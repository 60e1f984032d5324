"""Signals at random times: how soon a training ends, its exit code, and what it leaves behind.

    python benchmarks/signals.py [n] [--text FILE] [--signal TERM] [-- options of glassgpt train]

Each trial starts `glassgpt train` in a folder of its own and sends a signal at a random time, from the start
of the process to its end. Afterwards the folder must be empty, or a run that verifies and resumes; no
temporary file may stay. Python itself needs a moment before it can handle a signal; the process then dies of
it, which a shell also reports as 128 + n.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from report import write_report

TEXT = "".join(f"{i} geese, {i * 7 % 31} swans, {i * i % 13} ducks ashore.\n" for i in range(3000))
COMMAND = [sys.executable, "-m", "glassgpt", "train"]
OPTIONS = ["--size", "nano", "--steps", "60", "--sample-tokens", "50"]


@dataclass(frozen=True)
class Trial:
    """One training and one signal."""

    sent_s: float
    latency_s: float
    code: int
    """Exit code as a shell reports it."""
    left: str
    """`nothing`, `a run`, `a finished run`, or the problem."""
    stage: str
    """Last line that was printed before the signal came."""


def main() -> None:
    """Run the trials, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("n", nargs="?", type=int, default=200)
    parser.add_argument("--text", type=Path, help="text to train on; a small one is made by default")
    parser.add_argument("--signal", default="TERM")
    parser.add_argument("options", nargs="*", default=OPTIONS, help="options of glassgpt train")
    given = parser.parse_args()
    number = signal.Signals[f"SIG{given.signal}"]
    with tempfile.TemporaryDirectory() as folder:
        text = given.text or Path(folder) / "text.txt"
        if given.text is None:
            text.write_text(TEXT)
        whole = try_once(Path(folder) / "whole", text, given.options, None, number)
        print(f"undisturbed: {whole.sent_s:.1f} s, leaves {whole.left}")
        dice, trials = random.Random(0), []
        for i in range(given.n):
            delay = dice.uniform(0, whole.sent_s)
            trials.append(try_once(Path(folder) / str(i), text, given.options, delay, number))
            print(f"{i:4} {asdict(trials[-1])}", flush=True)
    figures = summary(trials)
    print(json.dumps(figures, indent=1))
    write_report("signals", figures)


def summary(trials: list[Trial]) -> dict[str, Any]:
    """Count codes and leftovers; sort the latencies."""
    late = sorted(trial.latency_s for trial in trials)
    return {
        "trials": len(trials),
        "latency_s": {"median": late[len(late) // 2], "p95": late[int(0.95 * len(late))], "max": late[-1]},
        "over_1_s": sum(s > 1 for s in late),
        "codes": Counter(str(trial.code) for trial in trials),
        "left": Counter(trial.left for trial in trials),
    }


def try_once(
    folder: Path, text: Path, options: list[str], delay_s: float | None, number: signal.Signals
) -> Trial:
    """Train in `folder` and send a signal after some seconds, or none."""
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    (folder / "log").touch()
    began = time.monotonic()
    with (folder / "log").open("w") as log:
        training = subprocess.Popen(
            [*COMMAND, str(text), "--out", "run", *options],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=os.environ | {"TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
        )
        try:
            training.wait(delay_s)
            sent = ended = time.monotonic()
        except subprocess.TimeoutExpired:
            said = (folder / "log").read_text().strip().splitlines()
            sent = time.monotonic()
            training.send_signal(number)
            training.wait(60)
            ended = time.monotonic()
            code = training.returncode
            code = 128 - code if code < 0 else code
            trial = Trial(sent - began, ended - sent, code, leftovers(folder), said[-1] if said else "")
            shutil.rmtree(folder)
            return trial
    return Trial(sent - began, 0.0, training.returncode, leftovers(folder), "ended before")


def leftovers(folder: Path) -> str:
    """Return what a training left, or the problem with it."""
    if others := [each.name for each in folder.glob("tmp/*") if not each.name.startswith("torch")]:
        return f"temporary files {others}"
    if "Traceback" in (folder / "log").read_text():
        return "a traceback: " + (folder / "log").read_text().strip().splitlines()[-1]
    run = folder / "run"
    if not run.exists():
        return "nothing"
    if not any(run.glob("checkpoints/step-*")):
        return f"a run without a step: {sorted(each.name for each in run.iterdir())}"
    partial = [each.name for each in run.rglob(".*") if not each.name.startswith(".lock")]
    if partial:
        return f"partial files {partial}"
    return "a finished run" if (run / "verdict.json").exists() else "a run to resume"


if __name__ == "__main__":
    main()
