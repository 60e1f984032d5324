"""Cost of recording activations, and findings of the lens.

    python benchmarks/lens.py                   # all: about ten minutes on two cores
    python benchmarks/lens.py unused trace      # some of: unused, trace, chapters, dates

unused    a training step with the lens imported but not used, against one before the import
trace     size and time of a trace of 6 layers × 6 heads × 384 at T = 64
chapters  seconds of each `glassgpt explain NAME`, start of the process included
dates     a translator of dates, trained now: its month without each head, and without seeing the month

Exits with 1 where a bar is missed. `dates` needs `pip install '.[data]'`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import glassgpt as gg
from glassgpt.checkpoint import Run
from glassgpt.config import ModelConfig
from glassgpt.data import Example, ExampleSplit, PairTemplate, located_test_dates, write_examples
from glassgpt.explain import NAMES
from glassgpt.lens import answer_parts, held_out_figures
from glassgpt.models import Model, build
from glassgpt.tokenizers import Tokenizer, train_tokenizer
from report import write_report

WORKERS, BLOCKS, STEPS = 10, 12, 20


@dataclass(frozen=True)
class Figure:
    """One measured number and the range that it has to lie in."""

    name: str
    value: float
    at_least: float = -np.inf
    at_most: float = np.inf

    @property
    def met(self) -> bool:
        return self.at_least <= self.value <= self.at_most

    def __str__(self) -> str:
        limits = (("≥", self.at_least), ("≤", self.at_most))
        bounds = [f"{sign} {limit:g}" for sign, limit in limits if np.isfinite(limit)]
        bar = f"(bar {', '.join(bounds)})" if bounds else "(no bar)"
        return f"  {'met   ' if self.met else 'MISSED'}  {self.value:9.4f}  {bar}  {self.name}"


STEPPER = """
import statistics, sys, time, torch
from glassgpt.config import ModelConfig, OptimConfig
from glassgpt.data import Batch
from glassgpt.models import build
from glassgpt.train import CrossEntropy, make_optimizers
torch.set_num_threads(1)
torch.manual_seed(0)
objective = CrossEntropy(build(ModelConfig(size="nano"), 65))
optimizers = make_optimizers(objective.model, OptimConfig())
tokens = torch.randint(65, (12, 65))
batch = Batch(tokens[:, :-1], tokens[:, 1:])
def step():
    loss = objective(batch)
    for o in optimizers.values(): o.zero_grad()
    (loss.total / loss.n_tokens).backward()
    for o in optimizers.values(): o.step()
def calls():
    count = 0
    def saw(*_):
        nonlocal count
        count += 1
    sys.setprofile(saw)
    step()
    sys.setprofile(None)
    return count
def seconds(n):
    start = time.perf_counter()
    for _ in range(n): step()
    return time.perf_counter() - start
blocks, n = int(sys.argv[2]), int(sys.argv[3])
seconds(n)
before, calls_before = [seconds(n) for _ in range(blocks)], calls()
if sys.argv[1] == "with":
    import glassgpt.lens, glassgpt.hooks.huggingface
seconds(n)
after = [seconds(n) for _ in range(blocks)]
print(statistics.median(after) / statistics.median(before), calls() - calls_before)
"""


def unused() -> list[Figure]:
    """A step after the import over one before it in the same process, over the same without an import.

    Two equal processes differ by one or two percent, so each is compared with itself.
    """
    ratios: dict[str, list[float]] = {"with": [], "without": []}
    more = 0
    for _ in range(WORKERS):
        for kind, found in ratios.items():
            command = [sys.executable, "-c", STEPPER, kind, str(BLOCKS), str(STEPS)]
            ratio, calls = subprocess.check_output(command, text=True).split()
            found.append(float(ratio))
            more = max(more, abs(int(calls)))
    errors = [1.25 * statistics.stdev(found) / WORKERS**0.5 for found in ratios.values()]  # of a median
    ratio = statistics.median(ratios["with"]) / statistics.median(ratios["without"])
    return [
        Figure("calls of functions in a step, more than without the lens", more, at_most=0),
        Figure("step time with the lens imported / without", ratio, 0.99, 1.01),
        Figure("its standard error", sum(error**2 for error in errors) ** 0.5),
    ]


def trace() -> list[Figure]:
    """The best and the median of 20 times of writing it."""
    tokenizer = train_tokenizer("char", ["abcdefghij"])
    model = build(
        ModelConfig.model_validate(dict(n_layer=6, n_head=6, n_embd=384, block_size=64)), tokenizer.n_vocab
    )
    seen = gg.trace(model, tokenizer, "abcdefghij" * 6 + "abcd")
    with tempfile.TemporaryDirectory() as folder:
        seconds, path = [], Path(folder) / "trace.safetensors"
        for _ in range(20):
            start = time.perf_counter()
            seen.save(path)
            seconds.append(time.perf_counter() - start)
        size = path.stat().st_size / 1e6
    return [
        Figure("trace, MB", size, at_most=4.0),
        Figure("writing it, seconds, median", statistics.median(seconds), at_most=0.2),
    ]


def chapters() -> list[Figure]:
    """The median of three."""
    figures = []
    for name in NAMES:
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            command = [sys.executable, "-m", "glassgpt", "explain", name, "--lang", "en"]
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
        figures.append(Figure(f"explain {name}, seconds", statistics.median(seconds), at_most=5.0))
    return figures


def dates() -> list[Figure]:
    """What becomes of year, month and day without each head, and with the month hidden from all of them."""
    settings = {"data": {"sources": ["dates"]}, "train": {"minutes": 3}}
    with tempfile.TemporaryDirectory() as folder:
        session = gg.start(gg.RunConfig.model_validate(settings), out=Path(folder) / "run")
        for _ in session.run():
            pass
        run = Run.open(Path(folder) / "run")
        model, tokenizer = run.model(), run.tokenizer()
        measure = held_out_figures(run, model, tokenizer)
        whole, found = measure(), gg.ablate(model, measure)
    cross = [each for each in found if each.attention.endswith(".cross_attn")]
    figures = [Figure(f"all heads on: {part}", whole[part]) for part in ("year", "month", "day")]
    for each in cross:
        drops = {part: 100 * (whole[part] - each.figures[part]) for part in ("year", "month", "day")}
        print(f"  without {each.attention} head {each.head}: {drops}")
    most = max(cross, key=lambda each: whole["month"] - each.figures["month"])
    drop = 100 * (whole["month"] - most.figures["month"])
    name = f"points of month lost without its best cross-attention head ({most.attention} {most.head})"
    hidden = month_hidden(model, tokenizer)
    return [
        *figures,
        Figure(name, drop, at_least=30.0),
        Figure("month right with the month hidden from cross-attention", hidden["month"], at_most=0.7),
        Figure("year right meanwhile", hidden["year"], at_least=0.9),
        Figure("day right meanwhile", hidden["day"], at_least=0.9),
    ]


def month_hidden(model: Model, tokenizer: Tokenizer, n: int = 400) -> Mapping[str, float]:
    """What is right, by parts, when no cross-attention may look at the characters of the month."""
    located = located_test_dates()[:n]
    split = encoded([example for example, _ in located], model, tokenizer)
    batch = split.batch(np.arange(n))
    assert batch.source is not None
    hidden = torch.zeros_like(batch.source, dtype=torch.bool)  # (n, S)
    for row, (example, month) in enumerate(located):
        hidden[row, month] = len(tokenizer.encode(example.source)) == len(example.source)
    edit = {
        "blocks.*.cross_attn.masked_scores": lambda scores: scores.masked_fill(
            hidden[:, None, None], -torch.inf
        )
    }
    parts = {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}
    with gg.edit(model, edit):
        return answer_parts(model, tokenizer, [batch], parts)


def encoded(examples: Sequence[Example], model: Model, tokenizer: Tokenizer) -> ExampleSplit:
    """Examples as the model reads them."""
    with tempfile.TemporaryDirectory() as folder:
        splits = {"train": examples, "val": examples}
        return write_examples(splits, PairTemplate(tokenizer), None, Path(folder)).val


PARTS: dict[str, Callable[[], list[Figure]]] = {
    "unused": unused,
    "trace": trace,
    "chapters": chapters,
    "dates": dates,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    given = parser.parse_args()
    if unknown := set(given.parts) - PARTS.keys():
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    missed = 0
    for name in given.parts or PARTS:
        print(name, flush=True)
        figures = PARTS[name]()
        print(*figures, sep="\n", flush=True)
        missed += sum(not figure.met for figure in figures)
        rows = [{"name": f.name, "value": f.value, "met": f.met} for f in figures]
        write_report(f"lens-{name}", {"threads": torch.get_num_threads(), "figures": rows})
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
