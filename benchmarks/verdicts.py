"""The verdict's loss against an independent sliding evaluation, and its interval against bootstrap worlds.

    GLASSGPT_DATA=folder/with/tinyshakespeare python benchmarks/verdicts.py [--run RUN]

Trains a small model on tinyshakespeare (or takes a finished run of running text). The evaluation is written
apart: plain torch on the logits, one window after another, with the verdict's stride of half a block and with
others. The worlds: 2,000 held-out texts drawn in blocks (stationary bootstrap, Politis and Romano 1994) from
the differences of each character between model and best n-gram. Each world states its own interval, by the
code of the verdict; 93 to 97 % of them should hold the true mean. Longer blocks are harder: a world has fewer
of them. Writes `results/verdicts.json`; exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glassgpt.checkpoint import Run
from glassgpt.config import RunConfig
from glassgpt.diagnose import NGram, Score, judge, loss_interval, n_parts, part_of
from glassgpt.models import Model
from glassgpt.tasks import task_of
from glassgpt.train import start
from report import write_report

N_WORLDS = 2000
BLOCK_CHARS = (50, 200, 1000)
"""Mean lengths of the drawn blocks, in characters."""


def main() -> None:
    parser = argparse.ArgumentParser(description="The verdict against independent measurements.")
    parser.add_argument("--run", type=Path, help="a finished run of characters; trained if not given")
    parser.add_argument("--minutes", type=float, default=1.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Run.open(args.run) if args.run else trained(Path(folder) / "run", args.minutes)
        figures = measure(run)
    print(figures)
    write_report("verdicts", figures)
    apart = abs(figures["verdict"] - figures["independent"]["stride of half a block"])
    covered = figures["interval"]["worlds_whose_interval_holds_the_mean"].values()
    sys.exit(apart > 0.002 or not all(0.93 <= share <= 0.97 for share in covered))


def trained(path: Path, minutes: float) -> Run:
    config = RunConfig.model_validate(
        {
            "data": {"sources": ["shakespeare"]},
            "model": {"size": "nano"},
            "train": {"minutes": minutes, "sample_tokens": 0},
        }
    )
    for _ in start(config, path).run():
        pass
    return Run(path)


def measure(run: Run) -> dict[str, Any]:
    config, tokenizer, model = run.config(), run.tokenizer(), run.model()
    data: Any = task_of(config).data.open(config, tokenizer, run)
    mine: Score = data.measure(model)
    train, val = (np.asarray(split.ids, np.int64) for split in (data.data.train, data.data.val))
    T = config.model.block_size
    strides = {"stride of half a block": T // 2, "stride of 8": 8, "windows apart": T}
    losses = {name: sliding(model, train, val, T, stride) for name, stride in strides.items()}
    model_nats = losses["stride of half a block"]
    best = min((row for row in data.baselines if row.kind == "ngram"), key=lambda row: row.total_nats)
    order = {"unigram": 1, "bigram": 2, "trigram": 3}.get(best.name) or int(best.name.partition("-")[0])
    table = NGram(train, tokenizer.n_vocab, {order}).probabilities(np.concatenate([train[-10:], val]), 10)
    differences = model_nats + np.log(table[order])
    stated, again = loss_interval(mine, best), -float(np.log(table[order]).mean())
    return {
        "n_chars": len(val),
        "verdict": round(mine.nats_per_char, 5),
        "independent": {name: round(float(nats.sum()) / mine.n_chars, 5) for name, nats in losses.items()},
        "best_ngram": {"name": best.name, "verdict": round(best.nats_per_char, 5), "again": round(again, 5)},
        "interval": {
            "stated": round(stated, 5),
            "constant_of_before": round(4 / math.sqrt(len(val)), 5),
            "worlds_whose_interval_holds_the_mean": {
                f"blocks of {size} characters": covered(differences, size) for size in BLOCK_CHARS
            },
        },
        "sentence": judge(data.baselines, mine).sentence,
    }


@torch.no_grad()
def sliding(model: Model, train: np.ndarray, val: np.ndarray, T: int, stride: int) -> np.ndarray:
    """−ln p of each held-out token; `stride` of them in each window, after T − stride others."""
    ids = torch.from_numpy(np.concatenate([train[-T:], val]))
    nats = []
    for first in range(T, len(ids), stride):
        begin = first - (T - stride)
        targets = ids[begin : begin + T]
        tokens = ids[begin - 1 : begin - 1 + len(targets)]
        logits = model.predict(tokens[None])[0].double()  # (T, V)
        loss = logits.logsumexp(-1) - logits[torch.arange(len(targets)), targets]
        nats.append(loss[T - stride :])
    return torch.cat(nats).numpy()


def covered(differences: np.ndarray, block: int, seed: int = 0) -> float:
    """Share of drawn worlds whose own interval holds the mean that they were drawn from."""
    rng, n, found = np.random.default_rng(seed), len(differences), 0
    k = n_parts(n)
    parts = part_of(np.ones(n, np.int64), k, n)
    zero = Score("table", 0.0, n, n, parts=(0.0,) * k)
    for _ in range(N_WORLDS):
        world = draw(differences, block, rng)
        sums = np.bincount(parts, weights=world, minlength=k)
        one = Score("model", 0.0, n, n, parts=tuple(sums.tolist()))
        found += bool(abs(world.mean() - differences.mean()) <= loss_interval(one, zero))
    return round(found / N_WORLDS, 4)


def draw(differences: np.ndarray, block: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a text of the same length in blocks of geometric length; the end is joined to the start."""
    n = len(differences)
    is_new = rng.random(n) < 1 / block
    is_new[0] = True
    starts = np.flatnonzero(is_new)
    offsets = np.arange(n) - np.repeat(starts, np.diff(starts, append=n))
    return differences[
        (np.repeat(rng.integers(n, size=len(starts)), np.diff(starts, append=n)) + offsets) % n
    ]


if __name__ == "__main__":
    main()
