"""Healthy models and runs: every family, preset and size, fresh and trained, with and without adapters."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from glassgpt.config import ModelConfig, RunConfig
from glassgpt.data import Batch
from glassgpt.diagnose import Examination
from glassgpt.doctor import examine, examine_run, training_loss
from glassgpt.models import build
from glassgpt.train import start

Visit = Callable[[], Examination]
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


def models(n: int) -> Iterator[tuple[str, Visit]]:
    """Yield n fresh models, each with a batch of its family."""
    rng = random.Random(0)
    for i in range(n):
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
    return examine(model, batch, loss=training_loss, causal=config.family != "encoder")


def runs(n: int) -> Iterator[tuple[str, Visit]]:
    """Yield n short runs on different texts, of different presets, lengths and tasks."""
    text = (Path(os.environ["GLASSGPT_DATA"]) / "tinyshakespeare.txt").read_text("utf-8")
    rng = random.Random(1)
    for i in range(n):
        begin, length = rng.randrange(len(text) - 200_000), rng.choice((20_000, 60_000, 200_000))
        steps = rng.choice((5, 30, 80, 150))
        settings: dict[str, Any] = {
            "model": {"size": "nano", "preset": rng.choice(("gpt2", "modern")), "block_size": 48},
            "train": {"steps": steps, "micro_batch_size": 8, "sample_tokens": 0, "seed": i, "evals": 2},
            "tokenizer": {"kind": rng.choice(("char", "bpe")), "vocab_size": 300},
        }
        if i % 6 == 1:
            settings["model"]["family"] = "encoder"
        elif i % 6 == 2:
            settings["model"]["family"] = "bigram"
        elif i % 6 == 3:
            settings["model"]["dropout"] = 0.1
        if i % 6 == 4:
            settings = {
                "model": {"family": "seq2seq", "size": "nano"},
                "data": {"sources": ("dates",)},
                "train": {"steps": steps, "micro_batch_size": 8, "sample_tokens": 0, "seed": i, "evals": 2},
            }
        yield f"run {settings}", lambda s=settings, t=text[begin : begin + length]: trained(s, t)


def trained(settings: dict[str, Any], text: str) -> Examination:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "text.txt"
        source.write_text(text, "utf-8")
        settings = {"data": {"sources": (str(source),)}, **settings}
        run = Path(folder) / "run"
        for _ in start(RunConfig.model_validate(settings), run).run():
            pass
        return examine_run(run)
