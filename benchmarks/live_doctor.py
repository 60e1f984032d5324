"""CPU time of the live doctor: trainings with and without it in turn.

    python benchmarks/live_doctor.py [--pairs 5] [--steps 300]

Prints for a small model (0.1 M) and one of 1 M parameters: the share that the doctor's own clock counts, the
ratio of the CPU times of whole trainings, and what it said. Exits with 1 if a share is above 3 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from glassgpt.config import RunConfig
from glassgpt.train import Diagnosed, LiveDoctor, start

SHAPES: dict[str, dict[str, Any]] = {
    "0.1 M": {"n_layer": 2, "n_embd": 64, "n_head": 2, "block_size": 64},
    "1 M": {"n_layer": 5, "n_embd": 128, "n_head": 4, "block_size": 128},
}
BAR = 0.03


def train(
    folder: Path, shape: dict[str, Any], steps: int, doctor: LiveDoctor | None
) -> tuple[float, float, int]:
    """Return CPU seconds and wall seconds of the steps, and the number of problems that were named."""
    source = folder / "text.txt"
    source.write_text(
        "".join(f"{i} bottles hang on wall {i % 7}, and {i * 37 % 101} fall.\n" for i in range(9000))
    )
    train = {"steps": steps, "micro_batch_size": 8, "sample_tokens": 0, "evals": 2, "doctor": False}
    settings = {"data": {"sources": (str(source),)}, "model": shape, "train": train}
    session = start(RunConfig.model_validate(settings), folder / "run", observers=[doctor] if doctor else [])
    cpu, wall = time.process_time(), time.monotonic()
    found = sum(isinstance(event, Diagnosed) for event in session.trainer.run())
    session.close()
    return time.process_time() - cpu, time.monotonic() - wall, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {}
    for name, shape in SHAPES.items():
        with_it, without, own, wall, named = 0.0, 0.0, 0.0, 0.0, 0
        for i in range(given.pairs):
            for watched in (True, False) if i % 2 else (False, True):
                doctor = LiveDoctor() if watched else None
                with tempfile.TemporaryDirectory() as folder:
                    cpu, seconds, found = train(Path(folder), shape, given.steps, doctor)
                if doctor:
                    with_it, own, wall, named = (
                        with_it + cpu,
                        own + doctor.seconds,
                        wall + seconds,
                        named + found,
                    )
                else:
                    without += cpu
        report[name] = {
            "share by its own clock": round(own / wall, 4),
            "CPU time with it over without": round(with_it / without, 4),
            "problems named": named,
        }
        print(name, report[name], flush=True)
    print(json.dumps(report, indent=1))
    sys.exit(any(each["share by its own clock"] > BAR for each in report.values()))


if __name__ == "__main__":
    main()
