"""Speed of training and of generation on a machine that other programs use, too.

    python benchmarks/busy.py [--rounds 3] [--seconds 12]

Each figure is a whole `glassgpt train` (steps per second) or `glassgpt sample` (tokens per second)
on tinyshakespeare or, without it, Python's documentation. Two policies alternate in each round:

    spin     threads wait in a loop, one per core, as torch's own setting does
    adapted  the default: threads sleep soon, and training adapts their number to the load

next to no other program, one or two busy ones, and a second GlassGPT that does the same. Prints medians, and
each as a share of the same policy's idle speed. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from report import write_report

CORES = os.cpu_count() or 1
POLICIES = {
    "spin": ({"GOMP_SPINCOUNT": "300000", "OMP_NUM_THREADS": str(CORES)}, ["--threads", str(CORES)]),
    "adapted": ({}, []),
}
"""Environment variables and flags. 300,000 rounds are GNU OpenMP's own setting."""
NEIGHBORS = {"idle": 0, "one busy program": 1, "two busy programs": 2, "a second GlassGPT": 0}
UNITS = ("steps/s", "tokens/s")
Figures = dict[str, dict[str, list[tuple[float, float]]]]
"""Neighbor → policy → one (steps/s, tokens/s) per round."""
WARMUP = 3
"""Steps that do not count."""
TOKENS = 1000


@contextmanager
def busy_programs(n: int) -> Iterator[None]:
    """Keep n cores busy with an endless loop each."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def start(policy: str, command: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start a glassgpt command under this policy."""
    variables, _ = POLICIES[policy]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "glassgpt", *command],
        env=kept | variables,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def train(policy: str, source: str, seconds: float, folder: Path, out: str) -> subprocess.Popen[str]:
    """Start a training of the size `micro`, with one evaluation and no sample."""
    length = ["--minutes", str(seconds / 60), "--evals", "1", "--sample-tokens", "0"]
    command = ["train", source, *length, "--out", out, "--json", "--size", "micro", *POLICIES[policy][1]]
    return start(policy, command, folder)


def steps_per_s(training: subprocess.Popen[str]) -> float:
    """Return the steps per second of a training, from the times of its steps."""
    out, _ = training.communicate()
    times = [event["elapsed_s"] for event in map(json.loads, out.splitlines()) if event["event"] == "step"]
    times = times[WARMUP:]
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


def tokens_per_s(run: Path, policy: str, twin: bool) -> float:
    """Return the tokens per second of `glassgpt sample`, start of the process not included."""

    def seconds(n: int) -> float:
        command = ["sample", str(run), "--max-new-tokens", str(n)]
        began = time.monotonic()
        processes = [start(policy, command, run.parent) for _ in range(1 + twin)]
        for process in processes:
            process.communicate()
        return time.monotonic() - began

    return TOKENS / max(1e-9, seconds(TOKENS + 1) - seconds(1))


def measure(policy: str, neighbor: str, source: str, seconds: float, run: Path) -> tuple[float, float]:
    """Return steps and tokens per second; of two GlassGPTs, the slower training."""
    twin = neighbor == "a second GlassGPT"
    with tempfile.TemporaryDirectory() as name, busy_programs(NEIGHBORS[neighbor]):
        folder = Path(name)
        trainings = [train(policy, source, seconds, folder, f"run{i}") for i in range(1 + twin)]
        return min(map(steps_per_s, trainings)), tokens_per_s(run, policy, twin)


def corpus() -> str:
    """Return tinyshakespeare's path if GLASSGPT_DATA has it, else the built-in corpus."""
    path = Path(os.environ.get("GLASSGPT_DATA", ".")).resolve() / "tinyshakespeare.txt"
    return str(path) if path.is_file() else "python"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12.0, help="length of each training")
    args = parser.parse_args()
    figures: Figures = {neighbor: {policy: [] for policy in POLICIES} for neighbor in NEIGHBORS}
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        train("adapted", corpus(), args.seconds, run.parent, "run").communicate()
        for _ in range(args.rounds):
            for neighbor, by_policy in figures.items():
                for policy, measured in by_policy.items():
                    measured.append(measure(policy, neighbor, corpus(), args.seconds, run))
    print_table(figures)
    write_report("busy", {"seconds": args.seconds, "rounds": args.rounds, "steps_and_tokens_per_s": figures})


def print_table(figures: Figures) -> None:
    """Print medians, and their share of the same policy's idle speed."""
    print(" " * 20 + "".join(f"{policy + ' ' + unit:>26}" for unit in UNITS for policy in POLICIES))
    for neighbor, by_policy in figures.items():
        cells = ""
        for i in range(len(UNITS)):
            for policy, measured in by_policy.items():
                speed = median(each[i] for each in measured)
                idle = median(each[i] for each in figures["idle"][policy])
                cells += f"{speed:18.1f} ({speed / idle:5.2f})"
        print(f"{neighbor:<20}{cells}")


if __name__ == "__main__":
    main()
