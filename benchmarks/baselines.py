"""Cost and scores of the baselines: tinyshakespeare, the built-in corpus, and a text of 300 MB.

    GLASSGPT_DATA=folder/with/tinyshakespeare python benchmarks/baselines.py

Each text is measured in a process of its own, whose peak memory is read at its end. Prints the figures and
writes `benchmarks/results/baselines.json`. The long text is generated: words drawn by Zipf's law, seed fixed.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from glassgpt.config import DataConfig
from glassgpt.data import read_corpus
from glassgpt.diagnose import baselines, judge
from report import write_report

LONG_BYTES = 300_000_000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long.txt"
        write_long_text(long)
        results = {name: measure_apart(source) for name, source in sources(long).items()}
    write_report("baselines", {"texts": results})
    for name, result in results.items():
        print(
            f"\n{name}: {result['seconds']} s ({result['cpu_seconds']} of CPU), peak {result['peak_mb']} MB"
        )
        for score in result["verdict"]["baselines"]:
            print(f"  {score['name']:<9}{score['nats_per_char']:>8.4f} nats/char  {score['detail']}")


def sources(long: Path) -> dict[str, str]:
    return {"shakespeare": "shakespeare", "python": "python", "300 MB of drawn words": str(long)}


def measure_apart(source: str) -> dict[str, Any]:
    """The result of `measure` in a fresh process."""
    done = subprocess.run([sys.executable, __file__, source], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measure(source: str) -> dict[str, Any]:
    corpus = read_corpus(DataConfig(sources=(source,)))
    before = peak_mb()
    start, start_cpu = time.perf_counter(), time.process_time()
    scores = baselines(corpus)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    lengths = {"train_chars": corpus.train.n_chars, "val_chars": corpus.val.n_chars}
    memory = {"peak_mb": peak_mb(), "peak_mb_before": before}
    times = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2)}
    return {**lengths, **times, **memory, "verdict": judge(scores).to_dict()}


def peak_mb() -> float:
    """Largest resident memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def write_long_text(path: Path) -> None:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(rng.choice(letters, rng.integers(1, 10))) for _ in range(50_000)]
    weights = 1 / np.arange(1, len(words) + 1)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < LONG_BYTES:
            drawn = rng.choice(len(words), size=100_000, p=weights / weights.sum())
            file.write(" ".join(words[i] for i in drawn) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
