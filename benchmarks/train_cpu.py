"""Seconds to a validation loss of 1.88 on two cores: GlassGPT, nanoGPT and others, interleaved in one run.

    python benchmarks/train_cpu.py --nanogpt CHECKOUT [--mingpt CHECKOUT] [--others] [--seeds 5] [--cold]

All learn the first nine tenths of tinyshakespeare, with the same number of threads, and are measured on the
whole last tenth in windows of the length T that they were trained with. nanoGPT and the others follow its
recipe for a CPU (peers.py). *Warm* are the seconds of training steps alone; *cold* is a whole process, from
start to exit. Blocks of steps take turns, so that all see the same machine. The share of the peak is that of
all matrix products in a step. At the end a larger `speedrun` gets the time that nanoGPT took. `--others`
needs transformers, accelerate and litgpt, and has a report of its own.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

import peers
from glassgpt.config import RunConfig
from glassgpt.data import read_corpus
from glassgpt.train import Evaluated, start
from glassgpt.train.flops import count_flops
from mini import peak_gflops
from report import RESULTS, write_report

TARGET = 1.88
RECIPES: dict[str, dict[str, Any]] = {
    "speedrun": {
        "model": {"preset": "speedrun", "n_layer": 1, "n_embd": 64, "n_head": 2, "block_size": 128},
        "optim": {"lr": 0.04},
        "train": {"steps": 88, "micro_batch_size": 8},
    },
    "modern": {
        "model": {
            "preset": "modern",
            "n_layer": 2,
            "n_embd": 64,
            "n_head": 4,
            "n_hidden": 256,
            "window": 8,
            "rope_theta": 30,
            "block_size": 64,
        },
        "optim": {"lr": 0.03, "muon_lr": 0.08},
        "train": {"steps": 230, "micro_batch_size": 32},
    },
}
"""What soon reaches the target with every seed; found by the trials in docs/experiments.md."""
LONGER = {
    "model": {"preset": "speedrun", "block_size": 128},
    "train": {"micro_batch_size": 16, "evals": 2, "sample_tokens": 0},
}
"""What comes farthest in the time that nanoGPT takes: the command in the README."""


@dataclass
class Run:
    """One peer's training: seconds of its steps, and the losses that it had after so many."""

    peer: peers.Peer
    ids: tuple[np.ndarray, np.ndarray]
    every: int
    done: int = 0
    seconds: float = 0.0
    curve: list[tuple[float, float]] = field(default_factory=list)
    gflops_of_step: float = 0.0

    def block(self) -> None:
        """Some steps, timed, and then a measurement, which is not."""
        n = min(self.every, self.peer.n_steps - self.done)
        began = time.perf_counter()
        for _ in range(n):
            self.peer.step()
        self.seconds += time.perf_counter() - began
        self.done += n
        self.curve.append((self.seconds, whole_split(self.peer, self.ids)))
        if self.is_over and not any(word in self.peer.name for word in ("compiled", "Hugging")):
            self.gflops_of_step = gflops_of_step(self.peer)

    @property
    def is_over(self) -> bool:
        return self.done >= self.peer.n_steps

    @property
    def reached(self) -> float | None:
        """Seconds of training at which the loss came to the target, between two measurements."""
        before = (0.0, 4.2)
        for seconds, loss in self.curve:
            if loss <= TARGET:
                share = (before[1] - TARGET) / (before[1] - loss)
                return before[0] + share * (seconds - before[0])
            before = seconds, loss
        return None


@torch.no_grad()
def whole_split(peer: peers.Peer, ids: tuple[np.ndarray, np.ndarray]) -> float:
    """Nats per character of the last tenth, in windows of T side by side; the first sees one character."""
    train, val = ids
    tokens = torch.from_numpy(np.concatenate([train[-1:], val]).astype(np.int64))
    nats, T = 0.0, peer.T
    for start_of in range(0, len(val), 128 * T):
        part = tokens[start_of : start_of + 128 * T + 1]
        n = (len(part) - 1) // T
        for rows in ([(part[: n * T].view(n, T), part[1 : n * T + 1].view(n, T))] if n else []) + (
            [(part[n * T : -1][None], part[n * T + 1 :][None])] if (len(part) - 1) % T else []
        ):
            logits = peer.logits(rows[0])
            nats += torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), rows[1].flatten(), reduction="sum"
            ).item()
    return nats / len(val)


def glassgpt(text: Path, recipe: str, seed: int, folder: Path) -> peers.Peer:
    """The step of a real trainer; its schedule ends at its last step."""
    settings = RECIPES[recipe]
    config = RunConfig.model_validate(
        {
            **settings,
            "data": {"sources": [str(text)]},
            "train": {**settings["train"], "seed": seed, "sample_tokens": 0},
        }
    )
    session = start(config, folder / f"{recipe}-{seed}")
    trainer = session.trainer
    trainer._sync_clock()

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        trainer.model.eval()
        out = trainer.model(tokens)
        trainer.model.train()
        return out

    n_steps, T = config.train.steps or 0, config.model.block_size
    session.close()
    return peers.Peer(f"GlassGPT {recipe}", lambda: void(list(trainer.train_step())), logits, n_steps, T)


def within(seconds: float, text: Path, folder: Path) -> dict[str, Any]:
    """The best loss that LONGER comes to in so many seconds, its evaluations included."""
    settings = {**LONGER["train"], "minutes": seconds / 60}
    config = RunConfig.model_validate(
        {"model": LONGER["model"], "data": {"sources": [str(text)]}, "train": settings}
    )
    events = list(start(config, folder / "longer").run())
    losses = [event.nats_per_char for event in events if isinstance(event, Evaluated)]
    return {"seconds": round(seconds, 1), "best_loss": round(min(losses), 4)}


def gflops_of_step(peer: peers.Peer) -> float:
    """Billions of floating point operations of the matrix products of one more step, the optimizer's too."""
    return count_flops(peer.step) / 1e9


def void(_: object) -> None:
    return None


def summary(runs: dict[str, list[Run]], peak: float) -> dict[str, Any]:
    """Medians and spread per peer, and how many times longer nanoGPT takes: all its time, if it never comes
    to the target, so that the true ratio is larger."""
    base = runs["nanoGPT"]
    base_s = statistics.median(run.reached or run.seconds for run in base)
    figures = {}
    for name, them in runs.items():
        reached = [run.reached for run in them]
        times = [seconds for seconds in reached if seconds is not None]
        losses = [run.curve[-1][1] for run in them]
        ms = 1000 * statistics.median(run.seconds / run.done for run in them)
        gflops = them[-1].gflops_of_step or None  # None: in another process, or compiled
        at_least = base[0].reached is None and name != base[0].peer.name
        figures[name] = {
            "seeds": len(them),
            "T": them[0].peer.T,
            "steps": them[0].peer.n_steps,
            "ms_per_step": round(ms, 2),
            "gflops": gflops and round(gflops / ms * 1000, 1),
            "share_of_peak": gflops and round(gflops / ms * 1000 / peak, 3),
            "last_loss": [round(loss, 4) for loss in losses],
            "reached_target": f"{len(times)} of {len(them)}",
            "seconds_to_target": [round(seconds, 2) for seconds in times],
            "median_seconds": round(statistics.median(times), 2) if len(times) == len(them) else None,
            "nanogpt_over_this": round(base_s / statistics.median(times), 1) if times else None,
            "ratio_is_a_lower_bound": at_least,
            "curve_of_first": [(round(s, 2), round(loss, 4)) for s, loss in them[0].curve],
        }
    return figures


def sentence(figures: dict[str, Any]) -> str:
    """The ratio in words: where nanoGPT never comes to the target, it is a lower bound."""
    nano = figures["nanoGPT"]
    says = f"nanoGPT ends at {nano['last_loss'][0]}"
    if not nano["seconds_to_target"]:
        says += f", never at {TARGET}: its whole time is compared, so it takes at least"
    else:
        says += "; it takes"
    ratios = [f"{about['nanogpt_over_this']} × {n}" for n, about in figures.items() if "GlassGPT" in n]
    return f"{says} {' and '.join(ratios)}"


def cold(text: Path, checkout: Path, folder: Path) -> dict[str, float]:
    """Seconds of whole processes: nanoGPT's train.py with its CPU settings, and ours."""
    copy = folder / "nanogpt"
    shutil.copytree(checkout, copy)
    shutil.copy(text, copy / "data/shakespeare_char/input.txt")
    prepare = [sys.executable, str(copy / "data/shakespeare_char/prepare.py")]
    subprocess.run(prepare, check=True, capture_output=True)
    options = (
        "--device=cpu --compile=False --eval_iters=20 --log_interval=1000 --block_size=64 --batch_size=12 "
        "--n_layer=4 --n_head=4 --n_embd=128 --max_iters=2000 --lr_decay_iters=2000 --dropout=0.0"
    )
    commands = {
        "nanoGPT": [sys.executable, "train.py", "config/train_shakespeare_char.py", *options.split()],
        **{
            f"GlassGPT {name}": [sys.executable, "-m", "glassgpt", "train", str(text), *as_options(recipe)]
            for name, recipe in RECIPES.items()
        },
    }
    took = {}
    for name, command in commands.items():
        more = [] if name == "nanoGPT" else ["--out", str(folder / name)]
        began = time.perf_counter()
        done = subprocess.run([*command, *more], cwd=copy, check=True, capture_output=True, text=True)
        took[name] = time.perf_counter() - began
        told = [line for line in done.stdout.splitlines() if "val" in line]
        print(f"cold  {name:20} {took[name]:6.1f} s   {told[-1].strip()}", flush=True)
    return took


def as_options(recipe: dict[str, Any]) -> list[str]:
    """A recipe as the command line takes it."""
    fields = [item for table in recipe.values() for item in table.items()]
    named = [word for key, value in fields for word in ("--" + key.replace("_", "-"), str(value))]
    return [*named, "--evals", "1", "--sample-tokens", "0"]


def plot(runs: dict[str, list[Run]], path: Path) -> None:
    """Loss against seconds of training, all peers; the first seed of each."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, them in runs.items():
        seconds, losses = zip(*them[0].curve, strict=True)
        axes.plot(
            seconds, losses, marker="o", markersize=3, label=name, linewidth=2 if "Glass" in name else 1
        )
    axes.axhline(TARGET, color="gray", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="seconds of training steps", ylabel="nats per character, whole last tenth")
    axes.set_ylim(1.7, 3.0)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds to a validation loss of 1.88 on a CPU.")
    parser.add_argument("--nanogpt", type=Path, required=True, help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--mingpt", type=Path, help="a checkout of karpathy/minGPT")
    parser.add_argument("--others", action="store_true", help="also transformers' Trainer and litgpt")
    parser.add_argument("--compiled", action="store_true", help="also nanoGPT compiled")
    parser.add_argument("--seeds", type=int, default=5, help="of ours; the peers train once")
    parser.add_argument("--cold", action="store_true", help="also whole processes")
    parser.add_argument("--text", type=Path, help="tinyshakespeare; by default in $GLASSGPT_DATA")
    args = parser.parse_args()
    text = args.text or Path(os.environ["GLASSGPT_DATA"]) / "tinyshakespeare.txt"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        raw = read_corpus(RunConfig.model_validate({"data": {"sources": [str(text)]}}).data)
        pieces = ["".join(split.chunks()) for split in (raw.train, raw.val)]
        chars = sorted(set("".join(pieces)))
        number = {char: i for i, char in enumerate(chars)}
        ids = tuple(np.array([number[char] for char in piece], np.uint16) for piece in pieces)
        assert len(chars) == peers.V and len(ids) == 2
        slow = [peers.nanogpt(args.nanogpt, ids[0], 0, compiled=False)]
        if args.compiled:
            slow.append(peers.nanogpt(args.nanogpt, ids[0], 0, compiled=True))
        if args.mingpt:
            slow.append(peers.mingpt(args.mingpt, ids[0], 0))
        if args.others:
            slow += [peers.litgpt(ids[0], 0), peers.huggingface(ids[0], 0, folder / "hf")]
        runs = {peer.name: [Run(peer, ids, every=100)] for peer in slow}
        todo = [(recipe, seed) for seed in range(args.seeds) for recipe in RECIPES]
        turns = max(1, 20 // max(1, len(todo)))
        block, peaks = 0, []
        while todo or not all(run.is_over for them in runs.values() for run in them):
            for name, them in runs.items():
                if name in [peer.name for peer in slow] and not them[0].is_over:
                    them[0].block()
            if todo and block % turns == 0:
                recipe, seed = todo.pop(0)
                peer = glassgpt(text, recipe, seed, folder)
                run = Run(peer, ids, every=peer.n_steps // 10)
                while not run.is_over:
                    run.block()
                runs.setdefault(run.peer.name, []).append(run)
                print(f"{run.peer.name} seed {seed}: {run.curve[-1]}", flush=True)
            block += 1
            peaks.append(peak_gflops())
        figures: dict[str, Any] = {
            "target": TARGET,
            "threads": torch.get_num_threads(),
            "peak_gflops": round(statistics.median(peaks), 1),
            "peers": summary(runs, statistics.median(peaks)),
        }
        for name, about in figures["peers"].items():
            print(f"{name:30}", json.dumps({k: v for k, v in about.items() if k != "curve_of_first"}))
        print(sentence(figures["peers"]), flush=True)
        report = "train_cpu" if args.others else "train_cpu-nanogpt"
        write_report(report, figures)
        figures["within_nanogpts_time"] = within(runs["nanoGPT"][0].seconds, text, folder)
        print("in nanoGPT's time:", figures["within_nanogpts_time"])
        if args.cold:
            figures["cold_seconds"] = cold(text, args.nanogpt, folder)
        plot(runs, RESULTS / f"{report}.svg")
    write_report(report, figures)


if __name__ == "__main__":
    main()
