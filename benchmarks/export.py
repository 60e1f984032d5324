"""Exports compared in the other programs, and llama.cpp's speed next to ours.

    python benchmarks/export.py RUN... [--tokens 128] [--rounds 3] [--strings 10000] [--bytes 1000000]

For each run, format and dtype it prints the largest difference of a log-probability, the KL divergence, the
equal greedy tokens, and the strings and texts with other token ids. Speeds are medians of rounds in which
llama.cpp and GlassGPT take turns: one sequence, one thread. llama.cpp is the wheel of xllamacpp, which is not
compiled for this processor; its cache is float32, as in the certificate.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from glassgpt.checkpoint import Run
from glassgpt.generate import Engine, Request, SamplingParams
from glassgpt.interop import ExportSource
from glassgpt.interop.certify import certify, compare_ids
from glassgpt.interop.format import ExportFormat, find_format
from report import write_report

FORMATS = ("hf", "gguf")


def compared(
    source: ExportSource, format: ExportFormat, dtype: str, args: argparse.Namespace
) -> dict[str, Any]:
    """Export into a temporary folder and compare; with token ids of much text for the first dtype alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        format.write(source, folder, dtype)
        program, left_out = format.open(folder), format.left_out(source)
        certificate = certify(
            source, program, f"{format.name} {dtype}", format.tolerance(source, dtype), left_out
        )
        found = {"confirmed": certificate.is_confirmed, "MB": round(n_bytes(folder) / 1e6, 3)}
        found |= {each.name: each.observed for each in certificate.findings[2:]}
        if dtype == next(iter(format.limits)):
            text = source.text * (args.bytes // len(source.text.encode()) + 1)
            ids = compare_ids(source.tokenizer, program, text, left_out, args.strings)
            found |= {each.name: each.observed for each in ids}
        if format.name == "gguf":
            found["tokens/s"] = speeds(source, program, args)
        return found


def speeds(source: ExportSource, program: Any, args: argparse.Namespace) -> dict[str, float]:
    """Return the median tokens a second of both programs; they take turns."""
    prompt = source.windows[0][:8].tolist()
    n = min(args.tokens, source.shape.block_size - len(prompt))
    engine = Engine(source.model, max_batch=1)
    rounds = [
        (glassgpt_rate(engine, prompt, n), llama_rate(program, prompt, n)) for _ in range(args.rounds + 1)
    ]
    ours, theirs = zip(*rounds[1:], strict=True)
    return {"GlassGPT float32": statistics.median(ours), "llama.cpp": statistics.median(theirs)}


def glassgpt_rate(engine: Engine, prompt: Sequence[int], n: int) -> float:
    began = time.perf_counter()
    engine.add(Request(prompt, SamplingParams(temperature=0), n))
    while engine.busy:
        engine.step()
    return n / (time.perf_counter() - began)


def llama_rate(program: Any, prompt: Sequence[int], n: int) -> float:
    began = time.perf_counter()
    program.greedy(prompt, n)
    return n / (time.perf_counter() - began)


def n_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--strings", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    for path in args.runs:
        source = ExportSource.open(Run.open(path))
        exports = {}
        for format in map(find_format, FORMATS):
            for dtype in format.limits:
                exports[f"{format.name} {dtype}"] = found = compared(source, format, dtype, args)
                print(path.name, format.name, dtype, found, sep="  ", flush=True)
        n_params = sum(tensor.numel() for tensor in source.tensors.values())
        figures[path.name] = {"parameters": n_params, "tokenizer": source.tokenizer.describe(), **exports}
    versions = {name: version(name) for name in ("transformers", "gguf", "xllamacpp")}
    write_report("export", {"versions": versions, "runs": figures})


if __name__ == "__main__":
    main()
