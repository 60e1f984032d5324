"""Cost of an import: seconds and RAM for a GPT-2 of 124 M random weights, next to a copy of the file.

    python benchmarks/import.py                 # about two minutes on two cores; needs '.[hf]'
    python benchmarks/import.py --small         # 2 blocks

Each task is a process of its own, so that its peak of RAM is its own; imports of modules are not counted, and
neither is the comparison with transformers. Tasks take turns. Exits with 1 where an import takes over 3 s, or
more RAM than 1.2 times the model (above what the modules take). For Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from random_gpt2 import make_gpt2
from report import write_report

SECONDS, RATIO = 3.0, 1.2
ROUNDS = 3


def import_it(source: Path, target: Path) -> None:
    """Import the folder, without the comparison."""
    from glassgpt.train import import_pretrained

    import_pretrained(source, target, compare=False)


def copy_it(source: Path, target: Path) -> None:
    """Copy the file of weights to the disk."""
    shutil.copyfile(source / "model.safetensors", target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def load_it(source: Path, target: Path) -> None:
    """Load the weights with safetensors, and read every number once."""
    from safetensors.torch import load_file

    for tensor in load_file(source / "model.safetensors").values():
        tensor.aminmax()


TASKS: dict[str, Callable[[Path, Path], None]] = {"import": import_it, "copy": copy_it, "load": load_it}


def measure(name: str, source: Path) -> None:
    """Run one task in this process, and print its seconds and its peak of RAM above the modules'."""
    import torch  # noqa: F401

    import glassgpt.train  # noqa: F401

    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        before = _reset_peak()
        began = time.perf_counter()
        TASKS[name](source, Path(folder) / "target")
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "ram": _peak() - before}))


def _reset_peak() -> int:
    """Forget the peak of RAM, which the parent's includes, and return the RAM in use, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """Return the peak of RAM since the last reset, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="2 blocks in place of 12")
    parser.add_argument("--task", choices=TASKS, help="run one task on --source (for the processes)")
    parser.add_argument("--source", type=Path)
    given = parser.parse_args()
    if given.task:
        return measure(given.task, given.source)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model"
        make_gpt2(source, n_layer=2 if given.small else 12)
        size = (source / "model.safetensors").stat().st_size
        found: dict[str, list[dict[str, float]]] = {name: [] for name in TASKS}
        for _ in range(ROUNDS):
            for name, figures in found.items():
                command = [sys.executable, __file__, "--task", name, "--source", str(source)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                figures.append(json.loads(done.stdout.splitlines()[-1]))
    figures = {}
    for name, each in found.items():
        figures[f"{name}, s"] = statistics.median(one["seconds"] for one in each)
        figures[f"{name}, RAM of the model's size"] = statistics.median(one["ram"] for one in each) / size
    figures["import, times a copy"] = figures["import, s"] / figures["copy, s"]
    print(f"{size / 1e6:,.0f} MB of weights")
    for name, value in figures.items():
        print(f"  {value:9.3f}  {name}")
    missed = figures["import, s"] > SECONDS or figures["import, RAM of the model's size"] > RATIO
    print(f"{'MISSED' if missed else 'met'}: {SECONDS} s, {RATIO} times the model's size")
    write_report("import", {"bytes": size, "figures": figures})
    sys.exit(missed)


if __name__ == "__main__":
    main()
