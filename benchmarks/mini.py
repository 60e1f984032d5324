"""A step of `mini` (10 M parameters, block 256): share of the peak, RAM, start; compared with nanoGPT.

    python benchmarks/mini.py --nanogpt CHECKOUT

Work is counted by `glassgpt.train.flops`, the optimizer not counted: 1 to 2 % more than 6 N + 12 · layers ·
width · T a token (N without the embedding), as the stored results count, because the backward pass of
attention computes its scores again. The peak is that of a product of two matrices of 2,048² in float32,
measured after each step. Memory is the largest resident set of a process that does nothing else (Linux). The
start is from a process's birth to the beginning and the end of its first step, ours with corpus and
baselines; `modern micro` is the default size
and batch, the other rows are `mini` with 32 rows unless they say otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from report import write_report

B, T, V = 32, 256, 65
SHAPE = dict(n_layer=6, n_head=6, n_embd=384)


def nanogpt(checkout: Path) -> Callable[[], None]:
    """A step of nanoGPT's model and optimizer at this shape."""
    import peers

    module = peers.load(checkout, "model.py")
    model = module.GPT(module.GPTConfig(vocab_size=V, block_size=T, dropout=0.0, bias=False, **SHAPE))
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
    tokens = torch.randint(V, (B, T + 1))

    def step() -> None:
        model(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())[1].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def glassgpt(preset: str, folder: Path, size: str = "mini", rows: int = B) -> tuple[Callable[[], Any], int]:
    """A step of a real trainer, and its floating point operations."""
    from glassgpt.config import RunConfig
    from glassgpt.train import start
    from glassgpt.train.flops import step_flops

    config = RunConfig.model_validate(
        {
            "data": {"sources": [str(Path(os.environ["GLASSGPT_DATA"]) / "tinyshakespeare.txt")]},
            "model": {"preset": preset, "size": size},
            "train": {"steps": 1_000_000, "micro_batch_size": rows},
        }
    )
    session = start(config, folder / f"{preset}-{rows}")
    flops = step_flops(session.trainer)
    session.close()
    return lambda: list(session.trainer.train_step()), flops


def peak_gflops() -> float:
    """Of a matrix product."""
    a = torch.randn(2048, 2048)
    began = time.perf_counter()
    for _ in range(3):
        torch.matmul(a, a)
    return 3 * 2 * 2048**3 / (time.perf_counter() - began) / 1e9


def shares(checkout: Path, folder: Path, blocks: int) -> dict[str, Any]:
    """Share of the peak, interleaved."""
    from glassgpt.train.flops import count_flops

    steps: dict[str, tuple[Callable[[], Any], int]] = {
        name: glassgpt(name, folder) for name in ("modern", "gpt2")
    }
    for rows in (16, 8):  # 16 is the default
        steps[f"modern, {rows} rows"] = glassgpt("modern", folder, rows=rows)
    peer = nanogpt(checkout)
    steps["nanoGPT"] = peer, count_flops(peer)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(blocks + 1):
        for name, (step, flops) in steps.items():
            began = time.perf_counter()
            step()
            took = time.perf_counter() - began
            seconds[name].append(took)
            found[name].append(flops / took / 1e9 / peak_gflops())
    return {
        name: {
            "ms": round(1000 * statistics.median(seconds[name][1:]), 1),
            "share_of_peak": round(statistics.median(found[name][1:]), 3),
        }
        for name in steps
    }


def one(what: str, checkout: Path) -> None:
    """A process of its own: five steps, then its memory and the time of the first as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        preset, _, size = what.partition(" ")
        fields = {"size": size, "rows": 16} if size else {}
        step = nanogpt(checkout) if what == "nanoGPT" else glassgpt(preset, Path(folder), **fields)[0]
        ready = time.time()
        step()
        first = time.time()
        for _ in range(4):
            step()
    status = Path("/proc/self/status").read_text()  # getrusage would also count what a parent once had
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"ready": ready, "first": first, "mb": int(peak) / 1024}))


def alone(what: str, checkout: Path) -> dict[str, float]:
    """Peak memory in MB, and seconds from birth to the beginning and the end of the first step."""
    began = time.time()
    command = [sys.executable, __file__, "--nanogpt", str(checkout), "--one", what]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    starts, ends = (round(told[key] - began, 2) for key in ("ready", "first"))
    return {"peak_mb": round(told["mb"]), "first_step_starts_s": starts, "first_step_s": ends}


def main() -> None:
    parser = argparse.ArgumentParser(description="A step of mini: share of the peak, memory, start.")
    parser.add_argument("--nanogpt", type=Path, required=True, help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one, args.nanogpt)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = shares(args.nanogpt, Path(folder), args.blocks)
    print(figures, flush=True)
    for what in ("modern", "gpt2", "nanoGPT", "modern micro"):
        figures.setdefault(what, {})
        figures[what] |= alone(what, args.nanogpt)
        print(what, figures[what], flush=True)
    write_report("mini", {"peers": figures, "batch": [B, T]})


if __name__ == "__main__":
    main()
