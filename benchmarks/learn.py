"""The learning path in one go, in a fresh folder: the seconds of each step's commands.

    python benchmarks/learn.py [--minutes M]

It types what `glassgpt learn` says until no step is left, and exits with 1 where a command fails or a step
stays undone. --minutes: the length of each training, instead of its own. Needs the extra [data].
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import write_report


def main() -> None:
    parser = argparse.ArgumentParser(description="Follow the learning path.")
    parser.add_argument("--minutes", type=float, help="length of each training, instead of its own")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        seconds = follow(Path(folder), minutes)
    total = round(sum(seconds.values()) / 60, 1)
    print(f"{len(seconds)} steps in {total} minutes")
    write_report("learn", {"minutes_of_each_training": minutes, "seconds": seconds, "minutes": total})


def follow(folder: Path, minutes: float | None) -> dict[str, float]:
    """Type the next command until no step is left. Returns the seconds of each step."""
    seconds: dict[str, float] = {}
    typed: set[str] = set()
    while (name := (path := json.loads(run("glassgpt learn --json", folder)))["next"]) is not None:
        command = path["command"]
        if command in typed:
            sys.exit(f"{name} is still not done after: {command}")
        typed.add(command)
        began = time.monotonic()
        run(shortened(command, minutes), folder)
        seconds[name] = round(seconds.get(name, 0) + time.monotonic() - began, 1)
        print(f"{seconds[name]:7.1f} s  {name:13} {command}", flush=True)
    return seconds


def shortened(command: str, minutes: float | None) -> str:
    """Return a command with so many minutes of training instead of its own."""
    return command if minutes is None else re.sub(r"--minutes \S+", f"--minutes {minutes:g}", command)


def run(command: str, folder: Path) -> str:
    """Run a command of the path as a new user would, and return its output."""
    environment: dict[str, Any] = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
