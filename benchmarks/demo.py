"""The minute of `make demo`: its model must beat the bigram and the trigram.

    python benchmarks/demo.py

Exits with 1 where it does not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from report import write_report

UNITS = ("nats_per_char", "bits_per_char", "bits_per_byte")


def main() -> None:
    command = [sys.executable, "-m", "glassgpt", "train", "python", "--minutes", "1", "--json"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    verdict = json.loads(done.stdout.splitlines()[-1])
    rows = [verdict["model"], *verdict["baselines"]]
    nats = {row["name"]: round(row["nats_per_char"], 4) for row in rows}
    for row in rows:
        print(f"{row['name']:12}", *(f"{row[unit]:9.3f}" for unit in UNITS))
    write_report("demo", {"nats_per_char": nats})
    sys.exit(nats["this model"] >= min(nats["bigram"], nats["trigram"]))


if __name__ == "__main__":
    main()
