"""Generation speed for one sequence and several: GlassGPT, nanoGPT, transformers and llama.cpp.

    python benchmarks/generate.py --nanogpt CHECKOUT [--size mini|small] [--llama PYTHON] [--gpt-fast …]

All have GPT-2's architecture, random weights and float32, and continue the same 16 tokens on as many threads,
in turns within one run; tokens a second, medians, and ratios within a round. `mini` is 6 × 384 with 65
characters, `small` is GPT-2's 124 M. Ours also with `modern`, with rounded weights, and 16 at once. The bound
is the rate of reading the weights once a token, from a sum over 256 MB in the same run. With
--llama, a Python that has llama-cpp-python and gguf, llama.cpp runs the same shape in a process of its own.
With --gpt-fast, a model of its own architecture runs eagerly and compiled by torch, whose time does not
count. --first-token also times a process from its birth to the first token of a run of `mini`, against that
of `import torch`.
"""

from __future__ import annotations

import argparse
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
from torch import Tensor

import peers
from glassgpt.config import ModelConfig
from glassgpt.generate import Engine, Precision, Request, SamplingParams, read_bandwidth, weight_bytes
from glassgpt.models import Model, build
from report import write_report

VOCABULARY = {"mini": 65, "small": 50_257}
TOKENS = {"mini": 240, "small": 100}
LONG = 500
"""What nanoGPT's sample.py writes when not told otherwise; beyond a block of `mini`, so that texts slide."""
PROMPT = list(range(1, 17))
Write = Callable[[int], int]
"""Generates so many tokens; returns the number generated."""


def glassgpt(model: Model, precision: Precision = "float32", batch: int = 1) -> Write:
    """Generate with our engine at temperature 0.8."""
    engine = Engine(model, max_batch=batch, precision=precision)

    def write(n: int) -> int:
        engine.clear_prefix_cache()
        for i in range(batch):
            engine.add(Request(PROMPT, SamplingParams(temperature=0.8), n, seed=i))
        while engine.busy:
            engine.step()
        return n * batch

    return write


def nanogpt(checkout: Path, shape: dict[str, Any]) -> Write:
    """The loop of nanoGPT's sample.py."""
    module = peers.load(checkout, "model.py")
    model = module.GPT(module.GPTConfig(dropout=0.0, bias=True, **shape)).eval()
    prompt = torch.tensor([PROMPT])

    def write(n: int) -> int:
        model.generate(prompt, n, temperature=0.8, top_k=200)
        return n

    return write


def transformers(shape: dict[str, Any], cache: str) -> Write:
    """`generate` of transformers' GPT-2."""
    from transformers import GPT2Config, GPT2LMHeadModel

    names = {"vocab_size": "vocab_size", "block_size": "n_positions"}
    config = GPT2Config(**{names.get(key, key): value for key, value in shape.items()})
    model: Any = GPT2LMHeadModel(config).eval()
    prompt, seen = torch.tensor([PROMPT]), torch.ones(1, len(PROMPT), dtype=torch.long)
    settings: dict[str, Any] = dict(do_sample=True, temperature=0.8, pad_token_id=0, eos_token_id=None)
    if cache == "static":
        settings |= dict(cache_implementation="static", disable_compile=True)

    def write(n: int) -> int:
        found = model.generate(prompt, attention_mask=seen, max_new_tokens=n, min_new_tokens=n, **settings)
        return found.shape[1] - len(PROMPT)

    return write


def gpt_fast(checkout: Path, shape: dict[str, Any], compiled: bool) -> Write:
    """gpt-fast's model (rotary positions, gated MLP) with its static cache, in the loop of its generate.py.

    That file itself wants a checkpoint that has been downloaded.
    """
    module = peers.load(checkout, "model.py")
    sizes = dict(block_size=shape["block_size"], vocab_size=shape["vocab_size"], dim=shape["n_embd"])
    args = module.ModelArgs(**sizes, n_layer=shape["n_layer"], n_head=shape["n_head"])
    model = module.Transformer(args).eval()
    model.setup_caches(max_batch_size=1, max_seq_length=shape["block_size"])
    forward = torch.compile(model, fullgraph=True) if compiled else model

    def draw(logits: Tensor) -> Tensor:
        return torch.multinomial((logits[:, -1] / 0.8).softmax(-1), 1)

    def write(n: int) -> int:
        token = draw(model(torch.tensor([PROMPT]), torch.arange(len(PROMPT))))
        for place in range(len(PROMPT), len(PROMPT) + n - 1):
            token = draw(forward(token, torch.tensor([place])))
        return n

    return write


def llama(python: Path, shape: dict[str, Any], n: int, rounds: int) -> float:
    """Tokens a second of llama.cpp, in a process of its own."""
    helper = Path(__file__).with_name("llama_cpp_peer.py")
    words = [f"{key}={value}" for key, value in shape.items()]
    threads = str(torch.get_num_threads())
    command = [str(python), str(helper), str(n), str(rounds), threads, *words]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Measure tokens per second of all, in turns."""
    V, n = VOCABULARY[args.size], TOKENS[args.size]
    torch.manual_seed(0)
    models = {
        name: build(ModelConfig.model_validate(dict(preset=name, size=args.size)), V).eval()
        for name in ("gpt2", "modern")
    }
    config = models["gpt2"].config
    shape = dict(
        vocab_size=V,
        block_size=config.block_size,
        n_layer=config.n_layer,
        n_head=config.n_head,
        n_embd=config.n_embd,
    )
    lengths = {f"{name}, {LONG} tokens": LONG for name in ("nanoGPT", "GlassGPT gpt2", "GlassGPT modern")}
    writers: dict[str, Write] = {
        "nanoGPT": nanogpt(args.nanogpt, shape),
        "transformers, dynamic cache": transformers(shape, "dynamic"),
        "transformers, static cache": transformers(shape, "static"),
        "GlassGPT gpt2": glassgpt(models["gpt2"]),
        "GlassGPT gpt2, bfloat16": glassgpt(models["gpt2"], "bfloat16"),
        "GlassGPT gpt2, int8": glassgpt(models["gpt2"], "int8"),
        "GlassGPT gpt2, 16 at once": glassgpt(models["gpt2"], batch=16),
        "GlassGPT modern": glassgpt(models["modern"]),
        "GlassGPT modern, int8": glassgpt(models["modern"], "int8"),
        "GlassGPT modern, 16 at once": glassgpt(models["modern"], batch=16),
    }
    if args.gpt_fast:
        writers["gpt-fast"] = gpt_fast(args.gpt_fast, shape, compiled=False)
        writers["gpt-fast, compiled"] = gpt_fast(args.gpt_fast, shape, compiled=True)
    if args.size == "mini":
        writers |= {name: writers[name.partition(",")[0]] for name in lengths}
    rates: dict[str, list[float]] = {name: [] for name in writers}
    bandwidth: list[float] = []  # just before and after our own, as the machine changes its mind
    for turn in range(args.rounds + 1):
        for name, write in writers.items():
            before = read_bandwidth(torch.device("cpu"))  # for all, so that all begin with cold caches
            began = time.perf_counter()
            wrote = write(lengths.get(name, n) if turn else 4)
            rates[name].append(wrote / (time.perf_counter() - began))
            if name == "GlassGPT gpt2":
                bandwidth.append((before + read_bandwidth(torch.device("cpu"))) / 2)
    figures: dict[str, Any] = {}
    ours = rates["GlassGPT gpt2"][1:]
    for name, found in rates.items():
        ratio = statistics.median(a / b for a, b in zip(found[1:], ours, strict=True))
        figures[name] = {
            "tokens_per_s": round(statistics.median(found[1:]), 1),
            "over_glassgpt_gpt2": round(ratio, 3),
        }
    if args.llama:
        rate = llama(args.llama, shape, n, args.rounds)
        figures["llama.cpp, float32"] = {
            "tokens_per_s": round(rate, 1),
            "over_glassgpt_gpt2": round(rate / statistics.median(ours), 3),
        }
    bound = statistics.median(bandwidth[1:]) / weight_bytes(models["gpt2"], "float32")
    shares = [
        a * weight_bytes(models["gpt2"], "float32") / b for a, b in zip(ours, bandwidth[1:], strict=True)
    ]
    long = f", {LONG} tokens" if args.size == "mini" else ""
    pairs = zip(rates[f"GlassGPT gpt2{long}"][1:], rates[f"nanoGPT{long}"][1:], strict=True)
    bars = {
        f"over nanoGPT{long}": statistics.median(a / b for a, b in pairs),
        "over transformers": 1
        / max(figures[f"transformers, {c} cache"]["over_glassgpt_gpt2"] for c in ("dynamic", "static")),
        "int8 over float32": figures["GlassGPT gpt2, int8"]["over_glassgpt_gpt2"],
        "16 at once over one": figures["GlassGPT gpt2, 16 at once"]["over_glassgpt_gpt2"],
        "share of the bound": statistics.median(shares),
    }
    return {
        "peers": figures,
        "bound_tokens_per_s": round(bound, 1),
        "bars": {name: round(value, 3) for name, value in bars.items()},
    }


def first_token(rounds: int) -> dict[str, float]:
    """Measure seconds from process start to the first token of a `mini` run, and of `import torch`."""
    seconds: dict[str, list[float]] = {"import torch": [], "first token": []}
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        made = [sys.executable, "-m", "glassgpt", "train", "shakespeare", "--size", "mini", "--steps", "1"]
        made += ["--batch-size", "1", "--sample-tokens", "0", "--evals", "1", "--out", f"{folder}/run"]
        subprocess.run(made, check=True, capture_output=True)
        write = [sys.executable, "-m", "glassgpt", "sample", f"{folder}/run", "--max-new-tokens", "1"]
        commands = {"import torch": [sys.executable, "-c", "import torch"], "first token": write}
        for turn in range(rounds + 1):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True, env=usual)
                if turn:
                    seconds[name].append(time.perf_counter() - began)
    ratios = [a / b for a, b in zip(seconds["first token"], seconds["import torch"], strict=True)]
    return {
        **{f"{name}, s": round(statistics.median(found), 2) for name, found in seconds.items()},
        "ratio": round(statistics.median(ratios), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Generation speed, compared with other programs.")
    parser.add_argument("--nanogpt", type=Path, required=True, help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--size", choices=list(VOCABULARY), default="mini")
    parser.add_argument("--llama", type=Path, help="a python with llama-cpp-python and gguf")
    parser.add_argument("--gpt-fast", type=Path, help="a checkout of pytorch-labs/gpt-fast")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--first-token", action="store_true", help="also time processes (needs GLASSGPT_DATA)"
    )
    args = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with torch.inference_mode():
        figures = compare(args)
    for name, found in figures["peers"].items():
        print(f"{name:32} {found['tokens_per_s']:10,.1f} tokens/s   × {found['over_glassgpt_gpt2']}")
    print(f"{'bound of one in float32':32} {figures['bound_tokens_per_s']:10,.1f} tokens/s")
    if args.first_token:
        figures["process"] = first_token(args.rounds)
        print(figures["process"])
    for name, value in figures["bars"].items():
        print(f"{name:24} {value}")
    write_report(f"generate-{args.size}", {"size": args.size, "threads": torch.get_num_threads(), **figures})


if __name__ == "__main__":
    main()
