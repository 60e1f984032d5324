"""The copying meter on this machine: exactness, planted passages, held-out text, time and size.

`python benchmarks/copying.py [FILE] [--megabytes 1 8 64]`. FILE is a text, by default the documentation
inside Python. `--megabytes 200 1000` tries large indexes: it needs 5 bytes of disk per byte. Prints JSON.
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
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np

from glassgpt.config import DataConfig
from glassgpt.data import read_corpus
from glassgpt.diagnose import SuffixIndex, build_index, index_cost, longest_matches, measure_copying

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


def seconds(call: Callable[[], object], n: int = 5, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median time of a call. clock: `time.thread_time` leaves out what other programs take."""
    times = []
    for _ in range(n):
        began = clock()
        call()
        times.append(clock() - began)
    return median(times)


def in_process(call: Callable[[str, int], dict[str, float]], file: str, n: int) -> dict[str, float]:
    """Call a function in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(call, file, n).result()


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
            "query of 100,000 characters, ms of a core": round(
                1e3 * seconds(lambda: longest_matches(index, (held_out * 9)[:100_000]), 9, time.thread_time),
                1,
            ),
            "index": [in_process(built, given.file, n) for n in given.megabytes],
        }
    print(json.dumps(report, indent=1, ensure_ascii=False))


def built(file: str, megabytes: int) -> dict[str, float]:
    """Build and search the index of so many megabytes, in a process of its own, for its RAM."""
    corpus = read_corpus(DataConfig(sources=(file,)))
    sample = (corpus.val.read() * 9)[:100_000]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "index"
        began = time.perf_counter()
        index = build_index(folder, varied(corpus.train.read(), megabytes * 10**6), "")
        taken = time.perf_counter() - began
        peak = ram_of_process("VmHWM")
        size = sum(file.stat().st_size for file in folder.iterdir())
        n_chars = sum(chunk.n for chunk in index.chunks)
        first = seconds(lambda: longest_matches(index, sample), 1)
        return {
            "MB": megabytes,
            "s": round(taken, 1),
            "s per MB": round(taken / megabytes, 3),
            "bytes per character": round(size / n_chars, 2),
            "RAM foreseen, MB": round(index_cost(megabytes * 10**6).ram_bytes / 1e6),
            "peak RAM of the process, MB": round(peak / 1e6),
            "first query of 100,000 characters, ms": round(1e3 * first, 1),
            "query of 100,000 characters, ms": round(
                1e3 * seconds(lambda: longest_matches(index, sample)), 1
            ),
            "RAM after the queries, without the files, MB": round(ram_of_process("RssAnon") / 1e6),
        }


def varied(text: str, n_bytes: int) -> Iterator[bytes]:
    """Yield a text of so many bytes: passages of a text in which every fifth word is another one."""
    words, rng = np.array(text.split(" "), dtype=object), np.random.default_rng(3)
    while n_bytes > 0:
        start = rng.integers(len(words) - 5000)
        passage = words[start : start + 5000].copy()
        passage[rng.integers(len(passage), size=1000)] = words[rng.integers(len(words), size=1000)]
        piece = f"{' '.join(passage)} ".encode()[:n_bytes].decode("utf-8", "ignore").encode()
        yield piece
        n_bytes -= len(piece) or n_bytes


def ram_of_process(field: str) -> int:
    """Return a figure of /proc/self/status in bytes, or the peak of RAM where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
