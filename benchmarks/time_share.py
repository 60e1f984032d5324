"""Where the time of a training goes: reading, counting, steps, evaluations, saving, verdict.

    python benchmarks/time_share.py [--text FILE | --megabytes 60] [--minutes 1] [--fresh] [-- options]

Runs `glassgpt train --json` with these options and notes when each event comes. The time before an event
belongs to that event's kind; the time before the first one is start-up. Without a file it writes
random words, so many megabytes. `--fresh` leaves out the cache of counted baselines.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from report import write_report


def main() -> None:
    """Train once; print and write the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--fresh", action="store_true", help="count again what was counted before")
    parser.add_argument("options", nargs="*", help="options of glassgpt train")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = given.text or write_words(Path(folder) / "words.txt", given.megabytes * 1_000_000)
        fresh = {"XDG_CACHE_HOME": f"{folder}/cache"} if given.fresh else {}
        command = ["train", str(text), "--minutes", str(given.minutes), "--out", f"{folder}/run", "--json"]
        seconds, n_steps = time_events([*command, *given.options], os.environ | fresh)
        megabytes = text.stat().st_size / 1e6
    wall = sum(seconds.values())
    for kind, s in seconds.items():
        print(f"{s:8.1f} s  {s / wall:6.1%}  {kind}")
    print(f"{wall:8.1f} s in all, {n_steps} steps on {megabytes:.0f} MB, minutes {given.minutes:g}")
    figures = {"seconds": dict(seconds), "steps": n_steps, "megabytes": megabytes, "minutes": given.minutes}
    write_report("time_share", figures | {"training_share": seconds["step"] / wall})


def time_events(arguments: list[str], environment: dict[str, str]) -> tuple[dict[str, float], int]:
    """Return the seconds before the events of each kind, and the number of steps."""
    seconds: dict[str, float] = defaultdict(float)
    n_steps, last, doing = 0, time.monotonic(), "start-up"
    command = [sys.executable, "-m", "glassgpt", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as training:
        assert training.stdout is not None
        for line in training.stdout:
            event, now = json.loads(line), time.monotonic()
            kind = event["event"]
            seconds[doing or kind] += now - last
            doing = event["doing"] if kind == "stage" else ""
            n_steps, last = n_steps + (kind == "step"), now
    seconds["end of the process"] = time.monotonic() - last
    if training.returncode:
        sys.exit(training.returncode)
    return seconds, n_steps


def write_words(path: Path, n_bytes: int) -> Path:
    """Write a text of random words whose frequencies follow Zipf's law."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = ["".join(rng.choice(letters, rng.integers(1, 9))) for _ in range(20_000)]
    with path.open("w") as file:
        while file.tell() < n_bytes:
            ranks = np.minimum(rng.zipf(1.2, 100_000), len(words)) - 1  # (100,000,)
            file.write(" ".join(words[rank] for rank in ranks.tolist()) + "\n")
    return path


if __name__ == "__main__":
    main()
