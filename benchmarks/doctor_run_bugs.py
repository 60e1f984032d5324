"""Planted bugs, the second set, in whole runs: texts, tokenizers, settings and weights that do not fit.

A healthy run is trained once; each bug changes a copy of its folder, or trains another one on a text that is
wrong. The doctor sees what `glassgpt doctor RUN` sees.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from glassgpt.config import RunConfig
from glassgpt.diagnose import Examination
from glassgpt.train import examine_run, start

N_CHARS = 120_000


@dataclass(frozen=True)
class RunBug:
    """A run with a bug; `make` fills an empty folder, and returns the run."""

    name: str
    categories: frozenset[str]
    make: Callable[[Path], Path]

    def visit(self) -> Examination:
        with tempfile.TemporaryDirectory() as folder:
            return examine_run(self.make(Path(folder)))


RUN_BUGS: list[RunBug] = []


def bug(*categories: str) -> Callable[[Callable[[Path], Path]], None]:
    def add(make: Callable[[Path], Path]) -> None:
        RUN_BUGS.append(RunBug(make.__name__.replace("_", " "), frozenset(categories), make))

    return add


def plays() -> str:
    return (Path(os.environ["GLASSGPT_DATA"]) / "tinyshakespeare.txt").read_text("utf-8")[:N_CHARS]


def trained(folder: Path, text: str, steps: int = 250, **tables: Any) -> Path:
    """Train a small run on a text in a folder."""
    (folder / "text.txt").write_text(text, "utf-8")
    given = {
        "data": {"sources": (str(folder / "text.txt"),)},
        "model": {"n_layer": 2, "n_embd": 48, "n_head": 3, "block_size": 48},
        "train": {"steps": steps, "micro_batch_size": 16, "sample_tokens": 0, "seed": 7, "evals": 3},
        "tokenizer": {"kind": "char"},
    }
    for table, values in tables.items():
        given[table] = {**given[table], **values} if table in given else values
    session = start(RunConfig.model_validate(given), folder / "run")
    for _ in session.run():
        pass
    return session.folder.path


@cache
def healthy_run() -> Path:
    return trained(Path(tempfile.mkdtemp()), plays())


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(healthy_run(), folder / "run"))


def with_weights(run: Path, change: Callable[[dict[str, Tensor]], None]) -> Path:
    """Change the weights of every saved step, as a faulty conversion would: the manifest fits them."""
    for file in run.rglob("model.safetensors"):
        weights = load_file(file)
        change(weights)
        save_file({name: value.contiguous() for name, value in weights.items()}, file)
        manifest = file.with_name("MANIFEST.json")
        listed = json.loads(manifest.read_text("utf-8"))
        content = file.read_bytes()
        listed["files"][file.name].update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        manifest.write_text(json.dumps(listed), "utf-8")
    return run


def with_settings(run: Path, table: str, **values: Any) -> Path:
    file = run / "config.json"
    config = json.loads(file.read_text("utf-8"))
    config[table].update(values)
    file.write_text(json.dumps(config), "utf-8")
    return run


@bug("data")
def held_out_text_was_trained(folder: Path) -> Path:
    return trained(folder, plays()[: N_CHARS // 3] * 3, 60)


@bug("data")
def one_page_a_hundred_times(folder: Path) -> Path:
    return trained(folder, plays()[:1200] * 100, 60)


@bug("data")
def held_out_text_is_of_another_language(folder: Path) -> Path:
    other = "".join(chr(0x4E00 + ord(letter)) for letter in plays()[:8000])
    return trained(folder, plays()[:70_000] + other, 60, data={"val_fraction": 0.1})


@bug("data", "outcome", "learning")
def letters_in_random_order(folder: Path) -> Path:
    letters = list(plays()[:60_000])
    random.Random(0).shuffle(letters)
    return trained(folder, "".join(letters), 150)


@bug("optimizer", "outcome", "learning")
def rate_a_hundred_times_too_high(folder: Path) -> Path:
    return trained(folder, plays(), 80, optim={"lr": 0.5, "muon_lr": 3.0})


@bug("optimizer", "outcome", "learning")
def rate_a_thousand_times_too_low(folder: Path) -> Path:
    return trained(folder, plays(), 80, optim={"lr": 1e-6, "muon_lr": 1e-6})


@bug("dropout", "outcome", "learning")
def dropout_of_nine_tenths(folder: Path) -> Path:
    return trained(folder, plays(), 80, model={"dropout": 0.9})


@bug("embedding", "output", "data")
def vocabulary_is_shifted_by_one(folder: Path) -> Path:
    """The rows of embedding and head are those of the letters before."""
    tables = ("wte.weight", "lm_head.weight")
    return with_weights(
        copied(folder),
        lambda w: w.update({name: w[name].roll(1, 0) for name in tables if name in w}),
    )


@bug("output", "embedding")
def head_is_shifted_by_one(folder: Path) -> Path:
    return with_weights(
        copied(folder), lambda w: w.update({"lm_head.weight": w["lm_head.weight"].roll(1, 0)})
    )


@bug("projections", "attention")
def queries_and_keys_change_places(folder: Path) -> Path:
    def change(w: dict[str, Tensor]) -> None:
        for name in [name for name in w if name.endswith("attn.qkv.weight")]:
            q, k, v = w[name].chunk(3)
            w[name] = torch.cat([k, q, v])

    return with_weights(copied(folder), change)


@bug("projections", "attention")
def square_matrices_are_transposed(folder: Path) -> Path:
    def change(w: dict[str, Tensor]) -> None:
        for name in [name for name in w if name.endswith("attn.proj.weight")]:
            w[name] = w[name].T

    return with_weights(copied(folder), change)


@bug("residual", "attention", "projections", "mlp")
def blocks_change_places(folder: Path) -> Path:
    def change(w: dict[str, Tensor]) -> None:
        for name in [name for name in w if name.startswith("blocks.0.")]:
            other = name.replace("blocks.0.", "blocks.1.")
            w[name], w[other] = w[other], w[name]

    return with_weights(copied(folder), change)


@bug("positions")
def rotary_base_of_another_model(folder: Path) -> Path:
    return with_settings(copied(folder), "model", rope_theta=100.0)


@bug("attention", "projections", "attention scores")
def number_of_heads_of_another_model(folder: Path) -> Path:
    """Without norms of queries and keys the shapes fit any number of heads."""
    run = trained(folder, plays(), model={"preset": "gpt2"})
    return with_settings(run, "model", n_head=6)


@bug("mlp")
def a_part_was_never_trained(folder: Path) -> Path:
    """Weights that a loader did not find stay random."""

    def change(w: dict[str, Tensor]) -> None:
        torch.manual_seed(3)
        for name in [name for name in w if "blocks.1.mlp" in name]:
            w[name] = 0.05 * torch.randn_like(w[name])

    return with_weights(copied(folder), change)


@bug("normalization")
def gains_of_all_norms_are_lost(folder: Path) -> Path:
    return with_weights(
        copied(folder),
        lambda w: w.update({name: torch.ones_like(w[name]) * 3 for name in w if "norm" in name}),
    )


@bug("outcome", "output", "saving")
def weights_of_the_first_step(folder: Path) -> Path:
    """The verdict speaks of a trained model; the weights are random."""

    def change(w: dict[str, Tensor]) -> None:
        torch.manual_seed(5)
        for name, value in w.items():
            if value.ndim == 2:
                w[name] = 0.02 * torch.randn_like(value)

    return with_weights(copied(folder), change)
