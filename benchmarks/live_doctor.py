"""CPU time of the live doctor: trainings with it, without it, and without it again, in turn.

    python benchmarks/live_doctor.py [--rounds 5] [--steps 300]

Prints for a small model (0.1 M) and one of 1 M parameters: the CPU time inside the doctor, as a share of the
training; the median ratio of the CPU times of whole trainings, with over without; the same ratio of two
trainings without it, which shows the noise of the machine; and what the doctor said. Exits with 1 if the
share is above 3 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch

from glassgpt.config import RunConfig
from glassgpt.models import Model
from glassgpt.train import Diagnosed, Evaluated, Event, LiveDoctor, start
from glassgpt.train.observers import Events

SHAPES: dict[str, dict[str, Any]] = {
    "0.1 M": {"n_layer": 2, "n_embd": 64, "n_head": 2, "block_size": 64},
    "1 M": {"n_layer": 5, "n_embd": 128, "n_head": 4, "block_size": 128},
}
BAR = 0.03


class Timed(LiveDoctor):
    """The live doctor, and the CPU time that this thread spends in it."""

    def __init__(self) -> None:
        super().__init__()
        self.cpu = 0.0

    def _timed(self, react: Callable[[], Events]) -> list[Event]:
        began = time.thread_time()
        found = list(react() or ())
        self.cpu += time.thread_time() - began
        return found

    def on_gradients(self, step: int, model: Model) -> Iterator[Event]:
        yield from self._timed(lambda: super(Timed, self).on_gradients(step, model))

    def on_update(self, step: int, model: Model) -> Iterator[Event]:
        yield from self._timed(lambda: super(Timed, self).on_update(step, model))

    def on_evaluation(self, event: Evaluated, model: Model) -> Iterator[Event]:
        yield from self._timed(lambda: super(Timed, self).on_evaluation(event, model))

    def on_event(self, event: Event) -> None:
        self._timed(lambda: super(Timed, self).on_event(event))


def train(folder: Path, shape: dict[str, Any], steps: int, doctor: LiveDoctor | None) -> tuple[float, int]:
    """Return the CPU seconds of the steps, and the number of problems that were named."""
    source = folder / "text.txt"
    source.write_text(
        "".join(f"{i} bottles hang on wall {i % 7}, and {i * 37 % 101} fall.\n" for i in range(9000))
    )
    train = {"steps": steps, "micro_batch_size": 8, "sample_tokens": 0, "evals": 2, "doctor": False}
    settings = {"data": {"sources": (str(source),)}, "model": shape, "train": train}
    session = start(RunConfig.model_validate(settings), folder / "run", observers=[doctor] if doctor else [])
    cpu = time.process_time()
    found = sum(isinstance(event, Diagnosed) for event in session.trainer.run())
    session.close()
    return time.process_time() - cpu, found


def measured(shape: dict[str, Any], steps: int, rounds: int) -> dict[str, float]:
    """Train in turn with, without, and without the doctor; the order changes from round to round."""
    ratios, control, shares, named = list[float](), list[float](), list[float](), 0
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder), shape, 10, None)  # what a process does once
    for i in range(rounds):
        cpu: dict[str, float] = {}
        for name in (["with", "without", "again"] * 2)[i % 3 : i % 3 + 3]:
            doctor = Timed() if name == "with" else None
            with tempfile.TemporaryDirectory() as folder:
                cpu[name], found = train(Path(folder), shape, steps, doctor)
            if doctor:
                shares.append(doctor.cpu / cpu[name])
                named += found
        ratios.append(cpu["with"] / cpu["without"])
        control.append(cpu["again"] / cpu["without"])
    return {
        "CPU time inside the doctor": round(median(shares), 5),
        "CPU time with it over without": round(median(ratios), 4),
        "without it over without it": round(median(control), 4),
        "spread of that": round(max(control) - min(control), 4),
        "problems named": named,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {}
    for name, shape in SHAPES.items():
        report[name] = measured(shape, given.steps, given.rounds)
        print(name, report[name], flush=True)
    print(json.dumps(report, indent=1))
    sys.exit(any(each["CPU time inside the doctor"] > BAR for each in report.values()))


if __name__ == "__main__":
    main()
