"""Start-up time of commands without a model: help, and a wrong setting.

    python benchmarks/startup.py

Prints the median of wall times of fresh processes, compared with a bare interpreter.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from report import write_report

CASES = {
    "python -c pass": (0, ["-c", "pass"]),
    "glassgpt --help": (0, ["-m", "glassgpt", "--help"]),
    "glassgpt train --help": (0, ["-m", "glassgpt", "train", "--help"]),
    "glassgpt train --n-layer 0 (a config error)": (2, ["-m", "glassgpt", "train", "--n-layer", "0"]),
}
ROUNDS = 15


def seconds(code: int, arguments: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    return time.perf_counter() - began


def main() -> None:
    rounds = [{name: seconds(*case) for name, case in CASES.items()} for _ in range(ROUNDS)]
    medians = {name: round(statistics.median(r[name] for r in rounds), 3) for name in CASES}
    for name, median in medians.items():
        print(f"{median:6.3f} s  {name}")
    write_report("startup", {"median_seconds": medians, "rounds": ROUNDS})


if __name__ == "__main__":
    main()
