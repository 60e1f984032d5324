"""The copying meter on this machine: exactness, planted passages, held-out text, time and size.

`python benchmarks/copying.py [FILE] [--megabytes 1 8 64]`. FILE is a text, by default the documentation
inside Python. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from glassgpt.config import DataConfig
from glassgpt.data import read_corpus
from glassgpt.diagnose import SuffixIndex, build_index, longest_matches, measure_copying

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.helpers.brute_force import brute_force


def exact(train: str, folder: Path, n: int) -> int:
    """Return the number of random cases, pieces of a text with changes, where the meter differs."""
    rng, wrong = random.Random(1), 0
    for _ in range(n):
        start, length = rng.randrange(len(train)), rng.choice([20, 200, 2000])
        piece = train[start : start + length] or "a"
        at = rng.randrange(len(train))
        text = list(train[at : at + 400] + piece[: rng.randrange(300)])
        for _ in range(rng.randrange(1 + len(text) // 10)):
            text[rng.randrange(len(text))] = rng.choice("aeé中🦊 ")
        index = build_index(folder, [piece.encode()], "", rng.choice([64, 1 << 20]))
        wrong += longest_matches(index, "".join(text)).lengths.tolist() != brute_force(piece, "".join(text))
    return wrong


def planted(index: SuffixIndex, train: str, held_out: str, n: int) -> int:
    """Return how many of n passages of 50 to 500 characters, planted into held-out text, are missed."""
    rng, missed = random.Random(2), 0
    for _ in range(n):
        length, start, at = (
            rng.randint(50, 500),
            rng.randrange(len(train) - 500),
            rng.randrange(len(held_out) - 500),
        )
        passage = train[start : start + length]
        text = held_out[at : at + 250] + passage + held_out[at + 250 : at + 500]
        found = measure_copying(index, text)
        spans = (*found.spans, *found.phrases)
        missed += not any(s.start <= 250 and s.stop >= 250 + length for s in spans)
    return missed


def seconds(call: Callable[[], object], n: int = 5) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(n):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default="python")
    parser.add_argument("--megabytes", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--cases", type=int, default=1000)
    given = parser.parse_args()
    corpus = read_corpus(DataConfig(sources=(given.file,)))
    train, held_out = corpus.train.read(), corpus.val.read()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "index"
        index = build_index(folder, [train.encode()], "")
        half = len(held_out) // 2
        sample = held_out[:2000]
        report = {
            "text": given.file,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "cases that differ from brute force": [
                exact(train, Path(temporary) / "case", given.cases),
                given.cases,
            ],
            "planted passages missed": [planted(index, train, held_out, 200), 200],
            "half of the held-out text next to the other": round(
                measure_copying(index, held_out[:half], held_out[half:]).ratio or 0, 3
            ),
            "training text next to held-out text": round(
                measure_copying(index, train[:20_000], held_out).ratio or 0
            ),
            "query of 2,000 characters, ms": round(1e3 * seconds(lambda: longest_matches(index, sample)), 1),
            "query of 100,000 characters, ms": round(
                1e3 * seconds(lambda: longest_matches(index, (held_out * 9)[:100_000]), 3), 1
            ),
            "index": [built(train, n, folder) for n in given.megabytes],
        }
    print(json.dumps(report, indent=1, ensure_ascii=False))


def built(text: str, megabytes: int, folder: Path) -> dict[str, float]:
    """Build the index of so many megabytes: lines of a text in random order, again and again."""
    lines, rng = text.splitlines(keepends=True), random.Random(3)
    data = b""
    while len(data) < megabytes * 10**6:
        rng.shuffle(lines)
        data += "".join(lines).encode()
    data = data[: megabytes * 10**6].decode("utf-8", "ignore").encode()
    began = time.perf_counter()
    build_index(folder, [data], "")
    taken = time.perf_counter() - began
    size = sum(file.stat().st_size for file in folder.iterdir())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "MB": megabytes,
        "s per MB": round(taken / megabytes, 3),
        "bytes per character": round(size / len(data.decode()), 2),
        "peak RAM of the process, MB": round(peak / 1e6),
    }


if __name__ == "__main__":
    main()
