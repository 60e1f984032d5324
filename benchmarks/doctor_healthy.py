"""Healthy models and runs: every family, preset and size, fresh and trained, with and without adapters.

`models`: fresh models, each with a batch. `runs`: short trainings on texts of several kinds (plays, German,
Chinese, code, documentation, tables of numbers), of every task; some resumed, trained by two processes,
fine-tuned, with adapters, or exported and imported again. A run is examined as `glassgpt doctor RUN` does.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

import glassgpt
from glassgpt.checkpoint import Run
from glassgpt.config import ModelConfig, RunConfig
from glassgpt.data import Batch
from glassgpt.diagnose import Examination
from glassgpt.doctor import examine
from glassgpt.models import build
from glassgpt.train import examine_run, import_pretrained, resume, run_loss, start

Visit = Callable[[], Examination]
ROOT = Path(__file__).parent.parent
V = 65
PRESETS = ("gpt2", "modern", "speedrun")
FAMILIES: tuple[dict[str, Any], ...] = (
    {"family": "gpt"},
    {"family": "gpt", "n_kv_head": 1},
    {"family": "gpt", "tie_embeddings": True},
    {"family": "gpt", "window": 8},
    {"family": "gpt", "position": "sinusoidal", "preset": "gpt2"},
    {"family": "gpt", "lora_rank": 2, "init": "gpt2"},
    {"family": "bigram"},
    {"family": "encoder"},
    {"family": "encoder", "labels": ("a", "b", "c")},
    {"family": "seq2seq"},
    {"family": "captioner", "image_size": 24, "patch_size": 4},
)
SHAPES = ((1, 16, 1), (2, 32, 2), (3, 48, 4), (4, 64, 4))


def models(n: int, first: int = 0) -> Iterator[tuple[str, Visit]]:
    """Yield n fresh models, each with a batch of its family. first: the first seed."""
    rng = random.Random(first)
    for i in range(first, first + n):
        family, (n_layer, n_embd, n_head) = FAMILIES[i % len(FAMILIES)], SHAPES[rng.randrange(len(SHAPES))]
        preset = PRESETS[rng.randrange(len(PRESETS))]
        if (family["family"] != "gpt" and preset == "speedrun") or "lora_rank" in family:
            preset = "modern"
        shape = {"n_layer": n_layer, "n_embd": n_embd, "n_head": n_head, "block_size": 48, "preset": preset}
        config = {**shape, **family}
        if preset == "speedrun":
            config["ngram_rows"] = 512
        yield f"fresh {config} seed {i}", lambda config=config, i=i: fresh(config, i)


def fresh(settings: dict[str, Any], seed: int) -> Examination:
    torch.manual_seed(seed)
    config = ModelConfig.model_validate(settings)
    model = build(config, V)
    T = 33
    tokens = torch.randint(0, V, (4, T))
    targets = tokens[:, 1:].clone()
    source = None
    if config.labels:
        targets = torch.randint(0, len(config.labels), (4, 1))
    if config.family == "seq2seq":
        source = torch.randint(0, V, (4, 9))
    elif config.family == "captioner":
        source = torch.randint(0, 256, (4, config.channels, 24, 24), dtype=torch.uint8)
    batch = Batch(tokens[:, :-1], targets, source)
    return examine(model, batch, loss=run_loss, causal=config.family != "encoder")


def plays() -> str:
    return (Path(os.environ["GLASSGPT_DATA"]) / "tinyshakespeare.txt").read_text("utf-8")


def german() -> str:
    with gzip.open(
        Path(os.environ["GLASSGPT_DATA"]) / "multi30k" / "train.de.gz", "rt", encoding="utf-8"
    ) as file:
        return file.read(400_000)


def chinese() -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "docs/guide/zh").glob("*.md")))


def code() -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "src").rglob("*.py"))[:80])


def documentation() -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "docs").rglob("*.md")))


def numbers() -> str:
    return "".join(f"{a} + {b} = {a + b}\n" for a in range(10, 120) for b in range(10, 120))


TEXTS = (plays, german, chinese, code, documentation, numbers)


def shape(rng: random.Random) -> dict[str, Any]:
    n_layer, n_embd, n_head = SHAPES[rng.randrange(len(SHAPES))]
    return {"n_layer": n_layer, "n_embd": n_embd, "n_head": n_head, "block_size": rng.choice((24, 48, 64))}


def length(rng: random.Random, seed: int) -> dict[str, Any]:
    steps = rng.choice((5, 30, 80, 150))
    return {"steps": steps, "micro_batch_size": 8, "sample_tokens": 0, "seed": seed, "evals": 2}


def write_text(folder: Path, rng: random.Random) -> Path:
    text, n = rng.choice(TEXTS)(), rng.choice((20_000, 60_000, 150_000))
    begin = rng.randrange(max(1, len(text) - n))
    (folder / "text.txt").write_text(text[begin : begin + n], "utf-8")
    return folder / "text.txt"


def train(folder: Path, **tables: Any) -> Run:
    """Train a run in a folder."""
    session = start(RunConfig.model_validate(tables), folder)
    for _ in session.run():
        pass
    return session.folder


def language(folder: Path, rng: random.Random, seed: int, **model: Any) -> Run:
    kind = rng.choice(("char", "bpe", "byte"))
    given = {"preset": rng.choice(PRESETS), **shape(rng), **model}
    if given.get("preset") == "speedrun":
        given["ngram_rows"] = 512
    return train(
        folder / "run",
        data={"sources": (str(write_text(folder, rng)),)},
        model=given,
        train=length(rng, seed),
        tokenizer={"kind": kind, **({"vocab_size": rng.choice((300, 600))} if kind == "bpe" else {})},
        optim={"optimizer": rng.choice(("muon", "adamw"))},
    )


def with_dropout(folder: Path, rng: random.Random, seed: int) -> Run:
    return language(folder, rng, seed, dropout=rng.choice((0.05, 0.2)), preset="modern")


def masked(folder: Path, rng: random.Random, seed: int) -> Run:
    return language(folder, rng, seed, family="encoder", preset="modern")


def bigram(folder: Path, rng: random.Random, seed: int) -> Run:
    data = {"sources": (str(write_text(folder, rng)),)}
    return train(folder / "run", data=data, model={"family": "bigram"}, train=length(rng, seed))


def translation(folder: Path, rng: random.Random, seed: int) -> Run:
    data = {"sources": ("dates",)}
    return train(
        folder / "run", data=data, model={"family": "seq2seq", "size": "nano"}, train=length(rng, seed)
    )


def captions(folder: Path, rng: random.Random, seed: int) -> Run:
    data = {"sources": ("scenes",)}
    model = {"family": "captioner", "size": "nano"}
    return train(folder / "run", data=data, model=model, train=length(rng, seed))


def classes(folder: Path, rng: random.Random, seed: int) -> Run:
    words = {"north": "snow ice wind", "south": "sun sand sea", "west": "rain hill road"}
    rows = [
        f"{' '.join(rng.choices(words[label].split(), k=5))},{label}\n"
        for label in rng.choices(list(words), k=300)
    ]
    (folder / "rows.csv").write_text("text,label\n" + "".join(rows), "utf-8")
    data = {"sources": (str(folder / "rows.csv"),)}
    return train(
        folder / "run", data=data, model={"family": "encoder", "size": "nano"}, train=length(rng, seed)
    )


def chat(folder: Path, rng: random.Random, seed: int) -> Run:
    with (folder / "chat.jsonl").open("w") as file:
        for _ in range(200):
            a, b = rng.randrange(50), rng.randrange(50)
            turns = [(f"{a} plus {b}?", f"{a} + {b} = {a + b}."), ("Thanks", "You are welcome.")]
            messages = [
                {"role": role, "content": text}
                for asked, said in turns[: rng.randint(1, 2)]
                for role, text in (("user", asked), ("assistant", said))
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    data, model = {"sources": (str(folder / "chat.jsonl"),)}, {**shape(rng), "block_size": 64}
    return train(folder / "run", task="chat", data=data, model=model, train=length(rng, seed))


def fine_tuned(folder: Path, rng: random.Random, seed: int, **model: Any) -> Run:
    base = language(folder, rng, seed, preset="modern")
    data = {"sources": (str(write_text(folder, rng)),)}
    return train(
        folder / "tuned",
        data=data,
        model=model,
        init_from={"run": str(base.path)},
        train={**length(rng, seed), "steps": 20},
    )


def adapters(folder: Path, rng: random.Random, seed: int) -> Run:
    return fine_tuned(folder, rng, seed, lora_rank=2)


def resumed(folder: Path, rng: random.Random, seed: int) -> Run:
    run = language(folder, rng, seed)
    train = run.config().train
    longer = train.model_copy(update={"steps": (train.steps or 0) + 20})
    config = run.config().model_copy(update={"train": longer})
    for _ in resume(run.path, config).run():
        pass
    return run


def imported(folder: Path, rng: random.Random, seed: int) -> Run:
    run = language(folder, rng, seed, preset=rng.choice(("gpt2", "modern")))
    glassgpt.export(run.path, "hf", folder / "hf")
    return import_pretrained(folder / "hf", folder / "back", text=folder / "text.txt", compare=False)


def distributed(folder: Path, rng: random.Random, seed: int) -> Run:
    """Train with two processes, as `torchrun --nproc-per-node 2` does it."""
    text = write_text(folder, rng)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--size", "nano", "--steps", "30", "--batch-size", "8", "--seed", str(seed), "--evals", "2"]
    train = ["-m", "glassgpt", "train", str(text), "--out", str(folder / "run"), "--no-autopilot", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *train], env=environment, check=True, capture_output=True)
    return Run.open(folder / "run")


KINDS: tuple[Callable[..., Run], ...] = (
    *(language,) * 5,
    with_dropout,
    masked,
    bigram,
    translation,
    captions,
    classes,
    chat,
    fine_tuned,
    adapters,
    resumed,
    imported,
)
N_DISTRIBUTED = 4


def runs(n: int, first: int = 0) -> Iterator[tuple[str, Visit]]:
    """Yield n short runs on different texts, of different presets, lengths and tasks, from a first seed."""
    for i in range(first, first + n):
        kind = distributed if i - first < min(N_DISTRIBUTED, n // 20) else KINDS[i % len(KINDS)]
        yield f"run {i} {kind.__name__}", lambda kind=kind, i=i: trained(kind, i)


def trained(kind: Callable[..., Run], seed: int) -> Examination:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return examine_run(kind(Path(folder), random.Random(seed), seed))
