"""Compare the speed of this checkout with another one, for example the commit before a change.

Both checkouts work in processes of their own and take turns, so that other work on the machine hits both. It
prints medians, and the median of the ratios within a turn: training steps, generation and process start.

    git worktree add ../before COMMIT
    python benchmarks/regression.py ../before
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from report import write_report

HERE = Path(__file__).parents[1]
STARTS = {
    "--help": ["-m", "glassgpt", "--help"],
    "train --help": ["-m", "glassgpt", "train", "--help"],
    "import of engine and model": [
        "-c",
        "from glassgpt.generate import Engine; from glassgpt.models import build",
    ],
}


def worker() -> None:
    """Answer each line of standard input, the name of a task, with its duration in seconds."""
    import torch

    import glassgpt as gg
    from glassgpt.config import ModelConfig

    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    folder = Path(tempfile.mkdtemp())
    text = "".join(f"{i} green bottles hanging on the wall, {i * 7 % 31} should fall.\n" for i in range(4000))
    (folder / "text.txt").write_text(text)

    def steps(name: str, model: dict, optim: dict, B: int) -> Callable[[], object]:
        train = {"micro_batch_size": B, "steps": 1_000_000, "evals": 1}
        tables = {
            "data": {"sources": [str(folder / "text.txt")]},
            "model": model,
            "optim": optim,
            "train": train,
        }
        trainer = gg.start(gg.RunConfig.model_validate(tables), folder / name).trainer
        step = getattr(trainer, "train_step", None) or getattr(trainer, "_train_step")  # noqa: B009

        def several() -> None:
            for _ in range(20):
                done = step()
                if isinstance(done, Iterator):
                    list(done)

        return several

    def generation(size: str, n: int, batch: int) -> Callable[[], object]:
        model = gg.build(ModelConfig.model_validate({"size": size}), 300).eval()
        engine = gg.Engine(model, max_batch=batch)

        def run() -> None:
            ids = [engine.add(gg.Request([1, 2, 3], gg.SamplingParams(), n, seed)) for seed in range(batch)]
            while engine.busy:
                engine.step()
            for id in ids:
                engine.fetch(id)

        return run

    shape = {"preset": "gpt2", "n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": 64}
    tasks = {
        "20 steps, gpt2, AdamW, 12 × 64": steps("a", shape, {"optimizer": "adamw"}, 12),
        "20 steps, modern, Muon, 16 × 64": steps("b", {}, {}, 16),
        "20 steps, speedrun, Muon, 16 × 64": steps("c", {"preset": "speedrun"}, {}, 16),
        "60 tokens, micro, one text": generation("micro", 60, 1),
        "60 tokens, mini, one text": generation("mini", 60, 1),
        "60 tokens, micro, 16 texts": generation("micro", 60, 16),
    }
    print(json.dumps(list(tasks)), flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        tasks[line.rstrip("\n")]()
        print(time.perf_counter() - began, flush=True)


def environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(checkout / "src")}


@contextmanager
def started(checkout: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, __file__, "--worker"]
    process = subprocess.Popen(
        command, env=environment(checkout), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.stdin.close()  # pyright: ignore[reportOptionalMemberAccess]
        process.wait(60)


def asked(process: subprocess.Popen[str], task: str) -> float:
    assert process.stdin and process.stdout
    print(task, file=process.stdin, flush=True)
    return float(process.stdout.readline())


def start_up(checkout: Path, arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment(checkout), capture_output=True, check=True)
    return time.perf_counter() - began


def report(name: str, before: list[float], now: list[float]) -> dict[str, object]:
    ratio = statistics.median(b / a for a, b in zip(before, now, strict=True))
    figures = {"before_ms": 1000 * statistics.median(before), "now_ms": 1000 * statistics.median(now)}
    print(
        f"{name:36} {figures['before_ms']:9.1f} ms {figures['now_ms']:9.1f} ms   ratio {ratio:.3f}",
        flush=True,
    )
    return {"name": name, **figures, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of this checkout, compared with another one.")
    parser.add_argument("before", type=Path, help="another checkout of the project")
    parser.add_argument("--turns", type=int, default=15)
    args = parser.parse_args()
    rows = []
    with started(args.before.resolve()) as old, started(HERE) as new:
        assert old.stdout and new.stdout
        tasks: list[str] = json.loads(new.stdout.readline())
        old.stdout.readline()
        for task in tasks:
            for process in (old, new):
                asked(process, task)  # warm
            turns = [(asked(old, task), asked(new, task)) for _ in range(args.turns)]
            rows.append(report(task, *map(list, zip(*turns, strict=True))))
    for name, arguments in STARTS.items():
        turns = [(start_up(args.before, arguments), start_up(HERE, arguments)) for _ in range(args.turns)]
        rows.append(report(name, *map(list, zip(*turns, strict=True))))
    write_report("regression", {"turns": args.turns, "rows": rows})


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["--worker"] else main()
