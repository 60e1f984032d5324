"""Does `glassgpt train --minutes M` end after M minutes? Whole processes, idle and next to a busy one.

    python benchmarks/on_time.py [python FILE dates …] [--minutes 1 3] [--busy 0 1] [-- options]

Sources default to Python's documentation. Each line is one process: the seconds asked for, those that it took
from start to end, the difference, and the share of training. A run is on time within −5 % and +2 % of what
was asked, or 3 seconds. Baselines are counted, not read from the cache. The exit code is 1 if a run is not on
time. `--busy N` starts N endless loops, and ends them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

from busy import busy_programs
from report import write_report

EARLY, LATE, SLACK_S = 0.05, 0.02, 3.0
HEADER = f"{'source':<24}{'busy':>5}{'asked':>9}{'took':>9}{'late':>8}{'steps':>8}{'training':>10}{'end':>7}"


class Timed(NamedTuple):
    """One process, in seconds."""

    source: str
    busy: int
    asked_s: float
    took_s: float
    n_steps: int
    training_share: float
    """From the first step to the last one, evaluations in between included."""
    end_s: float
    """After the last step."""

    @property
    def late_s(self) -> float:
        """Seconds after the time asked for; negative before it."""
        return self.took_s - self.asked_s

    @property
    def on_time(self) -> bool:
        """True within the limits."""
        return -max(SLACK_S, EARLY * self.asked_s) <= self.late_s <= max(SLACK_S, LATE * self.asked_s)

    def line(self) -> str:
        """Return a line of the table."""
        seconds = f"{self.asked_s:>8.0f}s{self.took_s:>8.1f}s{self.late_s:>+7.1f}s"
        shares = f"{self.n_steps:>8}{self.training_share:>10.0%}{self.end_s:>6.1f}s"
        return f"{self.source[-23:]:<24}{self.busy:>5}{seconds}{shares}{'' if self.on_time else '  MISSED'}"


def train(source: str, minutes: float, busy: int, options: list[str]) -> Timed:
    """Train once in a process of its own; note the times of its events."""
    with tempfile.TemporaryDirectory() as folder, busy_programs(busy):
        length = ["--minutes", str(minutes), "--out", f"{folder}/run", "--json"]
        command = [sys.executable, "-m", "glassgpt", "train", source, *length, *options]
        environment = os.environ | {"XDG_CACHE_HOME": f"{folder}/cache"}
        began, steps = time.monotonic(), [0.0]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if (event := json.loads(line))["event"] == "step":
                    now = time.monotonic() - began
                    steps = [now - event["tokens"] / event["tokens_per_s"]] if steps == [0.0] else steps
                    steps.append(now)
        took_s = time.monotonic() - began
    if process.returncode:
        sys.exit(process.returncode)
    training_share = (steps[-1] - steps[0]) / took_s
    return Timed(source, busy, 60 * minutes, took_s, len(steps) - 1, training_share, took_s - steps[-1])


def main() -> None:
    """Train every source for every number of minutes; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sources", nargs="*", default=["python"])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1], help="busy programs next to it")
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    options = words[at + 1 :]
    given = parser.parse_args(words[:at])
    print(HEADER, flush=True)
    runs = []
    for source, minutes, busy in product(given.sources, given.minutes, given.busy):
        source = str(Path(source).resolve()) if Path(source).exists() else source
        runs.append(train(source, minutes, busy, options))
        print(runs[-1].line(), flush=True)
    n = sum(run.on_time for run in runs)
    print(f"{n} of {len(runs)} on time")
    rows = [run._asdict() | {"source": Path(run.source).name, "on_time": run.on_time} for run in runs]
    write_report("on_time", {"options": options, "runs": rows})
    sys.exit(n < len(runs))


if __name__ == "__main__":
    main()
