"""Run the grid that the law is fitted to: short trainings of random settings on many texts.

    python benchmarks/law/texts.py TEXTS
    python benchmarks/law/grid.py TEXTS OUT.jsonl --first 0 --step 2    # every second run; in two shells

Each line of OUT is one training: its settings, the counted baselines of its text, and its losses. Losses
depend on the number of steps and not on the speed of the machine, so a busy machine does no harm. Runs that
are in OUT already are left out. `--texts held-out` trains on the texts that the law is not fitted to,
`--near-best` with settings near the law's own choices, `--strong-dropout` on short texts, with an n-gram
table and much n-gram dropout, `--many-passes` on short texts, for a long time, and `--characters` on long
texts, with characters and an n-gram table; the rows of the last three name their "design".
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import torch

import glassgpt as gg
from glassgpt.config import DataConfig, RunConfig
from glassgpt.diagnose import Score
from glassgpt.tasks import LanguageData
from glassgpt.tasks.counted import text_scores
from glassgpt.train import Evaluated, Session, StepDone
from glassgpt.train.autopilot import Chooser, Length, Recipe, TextFacts, load_scaling_law
from glassgpt.train.autopilot.candidates import Candidates
from glassgpt.train.autopilot.forecast import whole_loss
from glassgpt.train.autopilot.speed import MachineSpeed, prior_seconds
from texts import GRID, HELD_OUT, MORE

SHAPES = [(2, 64), (2, 96), (2, 128), (4, 128), (3, 192), (4, 256), (6, 384)]
FEWEST, MOST = 200, 4_000
"""Steps of a training."""
CHEAPEST_S, DEAREST_S = 6, 150
"""Seconds of a training by the estimate for the grid's machine, on one core."""
TEXTS = {"grid": GRID, "more": MORE, "held-out": HELD_OUT}
SEEDS = {"grid": "False", "more": "more", "held-out": "True"}
"""Part of the seed of a design."""
SHORT_BYTES = 1_000_000
"""Texts that get strong n-gram dropout are shorter."""
LONG_BYTES = 200_000
"""Texts of the design "characters" are longer."""
EVALS = 20
"""Evaluations of a training."""
CURVE = 40
"""Number of means that a training loss is kept as."""


def design(index: int, texts: str = "grid") -> dict[str, Any]:
    """Return the settings of run number `index`: the same on every machine."""
    draw = random.Random(f"{SEEDS[texts]} {index}")
    names = [*TEXTS[texts]]
    dearest = 2 * CHEAPEST_S * (DEAREST_S / CHEAPEST_S / 2) ** draw.random()
    while True:
        recipe, steps = _draw(draw), round(FEWEST * (MOST / FEWEST) ** draw.random())
        if dearest / 2 <= steps * prior_seconds(recipe, recipe.vocab_size or 400) <= dearest:
            config = recipe.tables()
            config["train"] |= {
                "seed": draw.randrange(1_000_000),
                "sample_tokens": 0,
                "threads": 1,
                "evals": EVALS,
            }
            return {"text": names[index % len(names)], "steps": steps, "config": config}


def _draw(draw: random.Random) -> Recipe:
    n_layer, n_embd = draw.choice(SHAPES)
    T, step_tokens = draw.choice([64, 64, 128, 128, 256]), draw.choice([512, 1024, 1024, 2048, 4096])
    size = draw.choice([0, 0, 512, 1024, 1024, 2048, 4096])
    rows = draw.choice([0, 0, 1 << 15, 1 << 16, 1 << 17])
    return Recipe(
        tokenizer="bpe" if size else "char",
        vocab_size=size,
        preset="speedrun" if rows else "modern",
        n_layer=n_layer,
        n_head=n_embd // 32,
        n_embd=n_embd,
        block_size=T,
        batch=step_tokens // T,
        rate=draw.choice([0.35, 0.5, 0.7, 1.0, 1.0, 1.4]),
        weight_decay=draw.choice([0.1, 0.1, 0.3, 1.0]),
        dropout=draw.choice([0.0, 0.0, 0.1, 0.2]),
        ngram_rows=rows,
        ngram_dropout=draw.choice([0.0, 0.25, 0.5]) if rows else 0.0,
    )


def design_near_best(index: int, which: str, folder: Path, dearest: float) -> dict[str, Any]:
    """Return the settings of run number `index`, near those that the present law finds best.

    They differ from its choice along two axes. So the law learns most where it decides. folder: of the texts.
    dearest: seconds of the longest training by the estimate.
    """
    draw = random.Random(f"near {SEEDS[which]} {index}")
    text = [*TEXTS[which]][index % len(TEXTS[which])]
    about = measure_text(folder, text)
    seconds = CHEAPEST_S * (dearest / CHEAPEST_S) ** draw.random()
    found = Candidates(about, {}, exportable=draw.random() < 0.3)
    recipe = Chooser(about, found, load_scaling_law(), MachineSpeed()).choose(Length(seconds=seconds)).recipe
    for axis in draw.sample([*found.neighbors(recipe)], 2):
        recipe = draw.choice([*axis])
    return _planned(draw, text, recipe, seconds, about)


def design_strong_dropout(
    index: int, folder: Path, seconds_between: tuple[float, float], n_bytes: int
) -> dict[str, Any]:
    """Return the settings of run number `index`: a short text, and a table with strong n-gram dropout.

    Else it is what the present law finds best. folder: of the texts. seconds_between: of the shortest and the
    longest training by the estimate. n_bytes: texts are shorter.
    """
    draw = random.Random(f"strong dropout {index}")
    short = [name for name in GRID | MORE if (folder / f"{name}.txt").stat().st_size < n_bytes]
    text, seconds = short[index % len(short)], _between(seconds_between, draw)
    fixed = {"preset": "speedrun", "ngram_dropout": draw.choice([0.5, 0.7, 0.8, 0.9, 0.95])}
    fixed["dropout"] = draw.choice([0.0, 0.0, 0.1, 0.2])
    return {"design": "strong dropout", **_best_planned(draw, folder, text, fixed, seconds)}


def design_characters(
    index: int, folder: Path, seconds_between: tuple[float, float], n_bytes: int
) -> dict[str, Any]:
    """Return the settings of run number `index`: a long text, its characters, and an n-gram table.

    Else it is what the present law finds best. folder: of the texts. seconds_between: of the shortest and the
    longest training by the estimate. n_bytes: texts are longer.
    """
    draw = random.Random(f"characters {index}")
    long = [name for name in GRID | MORE if (folder / f"{name}.txt").stat().st_size > n_bytes]
    text, seconds = long[index % len(long)], _between(seconds_between, draw)
    n_layer, n_embd = draw.choice(SHAPES[:5])
    fixed = {"preset": "speedrun", "tokenizer": "char", "vocab_size": 0}
    fixed |= {"ngram_rows": draw.choice([1 << 16, 1 << 17, 1 << 17])}
    fixed |= {"ngram_dropout": draw.choice([0.0, 0.0, 0.0, 0.25, 0.5])}
    if draw.random() < 0.5:
        fixed |= {"n_layer": n_layer, "n_embd": n_embd, "n_head": n_embd // 32}
    return {"design": "characters", **_best_planned(draw, folder, text, fixed, seconds)}


def design_many_passes(
    index: int, folder: Path, seconds_between: tuple[float, float], n_bytes: int
) -> dict[str, Any]:
    """Return the settings of run number `index`: a short text, read again and again by a model of any size.

    Else it is what the present law finds best. Arguments as in `design_strong_dropout`.
    """
    draw = random.Random(f"many passes {index}")
    short = [name for name in GRID | MORE if (folder / f"{name}.txt").stat().st_size < n_bytes]
    text, seconds = short[index % len(short)], _between(seconds_between, draw)
    n_layer, n_embd = draw.choice(SHAPES[2:])
    fixed = {"n_layer": n_layer, "n_embd": n_embd, "n_head": n_embd // 32}
    fixed |= {"dropout": draw.choice([0.0, 0.1, 0.2]), "weight_decay": draw.choice([0.1, 0.3, 1.0])}
    fixed |= {"preset": draw.choice(["modern", "speedrun"])}
    if fixed["preset"] == "speedrun":
        fixed |= {"ngram_dropout": draw.choice([0.7, 0.8, 0.9, 0.95])}
    return {"design": "many passes", **_best_planned(draw, folder, text, fixed, seconds)}


def _between(seconds_between: tuple[float, float], draw: random.Random) -> float:
    cheapest, dearest = seconds_between
    return cheapest * (dearest / cheapest) ** draw.random()


def _best_planned(
    draw: random.Random, folder: Path, text: str, fixed: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Return a training with some fixed settings, and the others as the present law finds them best."""
    about = measure_text(folder, text)
    chooser = Chooser(about, Candidates(about, fixed), load_scaling_law(), MachineSpeed())
    return _planned(draw, text, chooser.choose(Length(seconds=seconds)).recipe, seconds, about)


def _planned(
    draw: random.Random, text: str, recipe: Recipe, seconds: float, about: TextFacts
) -> dict[str, Any]:
    """Return a training of a recipe of about so many seconds."""
    steps = round(seconds / prior_seconds(recipe, about.count(recipe).n_vocab))
    config = recipe.tables()
    config["train"] |= {"seed": draw.randrange(1_000_000), "sample_tokens": 0, "threads": 1, "evals": EVALS}
    return {"text": text, "steps": min(MOST, max(FEWEST, steps)), "config": config}


@cache
def measure_text(folder: Path, name: str) -> TextFacts:
    """Return the facts about a text."""
    corpus = gg.read_corpus(DataConfig(sources=(str(folder / f"{name}.txt"),)))
    return TextFacts.of(corpus, text_scores(corpus))


def run(plan: dict[str, Any], texts: Path) -> dict[str, Any]:
    """Train one run; return what the law needs."""
    source, about = str(texts / f"{plan['text']}.txt"), measure_text(texts, plan["text"])
    with tempfile.TemporaryDirectory() as folder:
        session = _start(plan, source, Path(folder) / "run")
        losses, evals, times = [], [], []
        for event in session.run():
            if isinstance(event, StepDone):
                losses.append(event.loss * session.data.tokens_per_char)
                times.append(event.tokens / event.tokens_per_s)
            if isinstance(event, Evaluated):
                evals.append((event.step, _whole_loss(event, session, about)))
        counted = [(n, round(loss, 4)) for n, loss in about.counted]
        whole = {"is_whole": True}  # what evaluations make likely for all of the held-out text
        return _figures(session, losses, evals) | {"step_s": median(times), "counted": counted} | whole


def _whole_loss(event: Evaluated, session: Session, about: TextFacts) -> float:
    """Return the loss of the whole held-out text that an evaluation makes likely, as a forecast uses it."""
    data, stride = session.data, session.trainer.eval_plan.stride
    assert isinstance(data, LanguageData) and about.profile
    return whole_loss(event, about.profile.scale(*data.eval_targets(stride)))


def _start(plan: dict[str, Any], source: str, out: Path) -> Session:
    config = plan["config"] | {"data": {"sources": [source]}}
    config["train"] = config["train"] | {"steps": plan["steps"]}
    session = gg.start(RunConfig.model_validate(config), out)
    session.data.measures_context = True
    return session


def _figures(session: Session, losses: list[float], evals: list[tuple[int, float]]) -> dict[str, Any]:
    data, verdict = session.data, session.verdict()
    assert isinstance(data, LanguageData) and isinstance(verdict.model, Score)
    size = -(-len(losses) // CURVE)
    means = [sum(losses[i : i + size]) / len(losses[i : i + size]) for i in range(0, len(losses), size)]
    table = sum(p.numel() for name, p in session.trainer.model.named_parameters() if "ngram" in name)
    return {
        "loss": verdict.loss,
        "baselines": {score.name: score.nats_per_char for score in verdict.scores if score.kind != "other"},
        "n_train_chars": data.data.train.n_chars,
        "n_train_tokens": data.n_train_tokens,
        "tokens_per_char": data.tokens_per_char,
        "n_val_chars": data.val.n_chars,
        "n_vocab": data.tokenizer.n_vocab,
        "n_params": session.trainer.model.n_params,
        "n_table": table,
        "curve": [round(mean, 4) for mean in means],
        "evals": [(step, round(loss, 4)) for step, loss in evals],
    }


def chosen_design(index: int, given: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of run number `index`, of the kind that was asked for."""
    between = given.cheapest, given.dearest
    if given.strong_dropout:
        return design_strong_dropout(index, given.texts, between, given.shorter_than)
    if given.many_passes:
        return design_many_passes(index, given.texts, between, given.shorter_than)
    if given.characters:
        return design_characters(index, given.texts, between, given.longer_than)
    if given.near_best:
        return design_near_best(index, given.which, given.texts, given.dearest)
    return design(index, given.which)


def main() -> None:
    """Run the grid until it is interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("texts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--last", type=int, default=1_000)
    parser.add_argument("--texts", choices=[*TEXTS], default="grid", dest="which")
    parser.add_argument("--near-best", action="store_true")
    parser.add_argument("--strong-dropout", action="store_true")
    parser.add_argument("--many-passes", action="store_true")
    parser.add_argument("--characters", action="store_true")
    parser.add_argument(
        "--shorter-than", type=int, default=SHORT_BYTES, help="bytes of the longest short text"
    )
    parser.add_argument("--longer-than", type=int, default=LONG_BYTES, help="bytes of the shortest long text")
    parser.add_argument(
        "--cheapest", type=float, default=CHEAPEST_S, help="seconds, of runs with a named design"
    )
    parser.add_argument(
        "--dearest", type=float, default=2 * DEAREST_S, help="seconds of the longest, by estimate"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    done = {json.loads(line)["index"] for line in given.out.open()} if given.out.exists() else set()
    for index in range(given.first, given.last, given.step):
        if index in done:
            continue
        began = time.monotonic()
        plan = chosen_design(index, given)
        found = run(plan, given.texts)
        row = {"index": index, **plan, **found}
        if not math.isfinite(found["loss"]):
            continue
        with given.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{index} {plan['text']}: {found['loss']:.3f}, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
