"""Every command on runs with mutated files: no traceback, no hang, no gigabyte, no change outside the run.

    PYTHONPATH=tests python -m faults.mutations 5000          # prints counts, and each place with an example
    PYTHONPATH=tests python -m faults.mutations 5000 --seed 7
    PYTHONPATH=tests python -m faults.mutations --only 123    # one of them, with its output

For Linux: commands run in forked processes with limits (sandbox.py).
"""

from __future__ import annotations

import argparse
import gc
import importlib
import pkgutil
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import torch

import glassgpt.cli.commands
from faults.mutant_runs import commands, make_runs
from faults.mutate import VICTIM, mutate
from faults.sandbox import Ended, run

STDIN = b"hello\n"


@dataclass(frozen=True)
class Tried:
    """One command on one mutated run."""

    number: int
    kind: str
    mutation: str
    command: list[str]
    ended: Ended

    def __str__(self) -> str:
        return f"#{self.number} {self.kind}: {self.mutation}; glassgpt {' '.join(self.command)}"


def prepare(folder: Path) -> dict[str, Path]:
    """Make the whole runs, and import everything, before the first fork."""
    torch.set_num_threads(1)  # a fork has no other threads
    runs = make_runs(folder)
    for module in pkgutil.iter_modules(glassgpt.cli.commands.__path__):
        importlib.import_module(f"glassgpt.cli.commands.{module.name}")
    gc.collect()
    gc.freeze()  # pages stay shared with the children
    return runs


def attempt(number: int, seed: int, runs: dict[str, Path], n_commands: int) -> Iterator[Tried]:
    """Mutate one run, and yield the end of n_commands commands, or of all for 0.

    Everything follows from number and seed.
    """
    rng = random.Random(f"{seed}/{number}")
    kind = list(runs)[number % len(runs)]
    work = runs[kind].parent.parent / f"work-{seed}-{number}"
    work.mkdir()
    try:
        shutil.copytree(runs[kind], work / "RUN")
        (work / "others").symlink_to(runs[kind].parent)
        mutation = mutate(work / "RUN", rng)
        victim = work / VICTIM
        before = victim.read_bytes() if victim.exists() else None
        for command in commands(kind, rng, n_commands):
            ended = run(command, work, STDIN)
            if before is not None and victim.read_bytes() != before:
                ended = Ended(
                    "outside", "a file outside the run changed", ended.code, ended.cpu_s, ended.rss_bytes
                )
                before = victim.read_bytes()
            yield Tried(number, kind, mutation, command, ended)
    finally:
        shutil.rmtree(work)


@dataclass
class Tally:
    """Counts of exit codes and faults, and the extremes."""

    codes: Counter[int] = field(default_factory=Counter)
    faults: dict[tuple[str, str], list[Tried]] = field(default_factory=dict)
    slowest: Tried | None = None
    largest: Tried | None = None

    def add(self, tried: Tried) -> bool:
        """Count one command. Returns True for a fault at a new place."""
        ended = tried.ended
        self.codes[ended.code] += 1
        self.slowest = max(filter(None, (self.slowest, tried)), key=lambda each: each.ended.cpu_s)
        self.largest = max(filter(None, (self.largest, tried)), key=lambda each: each.ended.rss_bytes)
        if not ended.fault:
            return False
        place = ended.place if ended.fault == "traceback" else tried.command[0]
        found = self.faults.setdefault((ended.fault, place), [])
        found.append(tried)
        return len(found) == 1

    def show(self) -> None:
        """Print each place with its first example, then the counts."""
        for (fault, place), found in sorted(self.faults.items(), key=lambda item: -len(item[1])):
            print(f"{len(found):5}  {fault}  {place}\n         {found[0]}")
        if self.slowest and self.largest:
            print(f"slowest  {self.slowest.ended.cpu_s:.1f} s of CPU  {self.slowest}")
            print(f"largest  {self.largest.ended.rss_bytes / 1e6:.0f} MB  {self.largest}")
        kinds = Counter(fault for (fault, _), found in self.faults.items() for _ in found)
        print(
            f"{self.codes.total()} commands: exit codes {dict(sorted(self.codes.items()))}; "
            f"faults {dict(kinds) or 'none'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("n", nargs="?", type=int, default=100, help="number of mutated runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", type=int, default=4, help="commands per run, drawn from all; 0: all")
    parser.add_argument("--only", type=int, help="the number of one mutation, with all its output")
    given = parser.parse_args()
    numbers, tally = range(given.n) if given.only is None else [given.only], Tally()
    with tempfile.TemporaryDirectory() as folder:
        runs = prepare(Path(folder))
        for tried in chain.from_iterable(attempt(i, given.seed, runs, given.commands) for i in numbers):
            is_new, ended = tally.add(tried), tried.ended
            if given.only is not None or is_new:
                print(
                    tried, f"exit code {ended.code} {ended.fault}", ended.output[-3000:], sep="\n", flush=True
                )
    print(f"{len(numbers)} mutations", end=", ")
    tally.show()
    sys.exit(bool(tally.faults))


if __name__ == "__main__":
    main()
