"""A small finished run of every family and tokenizer, and the commands to try on a stranger's run."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import glassgpt as gg
from glassgpt.data import write_image
from helpers import conversations

TEXT = "".join(f"Verse {i}: {i * 7 % 31} swans upon the lake, {i * 5 % 13} ashore.\n" for i in range(60))
SHAPE = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 64}
TRAIN = {"steps": 2, "evals": 1, "sample_tokens": 2, "micro_batch_size": 2, "device": "cpu"}
CHAPTERS = ("loss", "sampling", "temperature", "weighted-sum", "query-key", "mask", "qkv", "graph")
MORE = ("--steps", "3")
COMMON = (
    ("runs", "."),
    ("verify", "RUN"),
    ("verify", "RUN", "--json"),
    *(("explain", name, "--run", "RUN") for name in CHAPTERS),
    ("resume", "RUN"),
    ("resume", "RUN", *MORE),
    ("train", "--resume", "RUN", *MORE, "--json"),
)
"""Commands for every family, in the order in which they run."""
GOLDEN = Path(__file__).parent.parent / "golden"


@dataclass(frozen=True)
class Kind:
    """A kind of run: its data and settings, and the commands that only it has."""

    source: str
    model: dict[str, Any]
    commands: tuple[tuple[str, ...], ...]
    tokenizer: str = "char"
    base: str = ""


SAMPLE = ("sample", "RUN", "--max-new-tokens", "3")
TEXT_COMMANDS = (
    SAMPLE,
    (*SAMPLE, "--draft", "text"),
    (*SAMPLE, "--best-of", "2"),
    ("look", "RUN", "Verse 1"),
    ("look", "RUN", "--ablate"),
    ("bench", "generate", "RUN", "--tokens", "4", "--rounds", "1"),
    ("train", "../text.txt", "--from", "RUN", "--out", "new", "--steps", "1"),
)
CHAT = ("chat", "RUN", "--max-new-tokens", "3")
SEEING = {"family": "captioner", "image_size": 8, "patch_size": 4}
KINDS = {
    "gpt2": Kind("text.txt", {"preset": "gpt2"}, TEXT_COMMANDS),
    "modern": Kind("text.txt", {"preset": "modern"}, TEXT_COMMANDS, "bpe"),
    "speedrun": Kind("text.txt", {"preset": "speedrun", "ngram_rows": 64}, TEXT_COMMANDS, "byte"),
    "bigram": Kind("text.txt", {"family": "bigram"}, (SAMPLE, ("look", "RUN", "Verse 1"))),
    "encoder": Kind(
        "text.txt", {"family": "encoder"}, (("fill", "RUN", "Ver[?]e"), ("look", "RUN", "Verse"))
    ),
    "classifier": Kind("labels.csv", {"family": "encoder"}, (("classify", "RUN", "4"), ("look", "RUN", "4"))),
    "seq2seq": Kind("pairs.tsv", {"family": "seq2seq"}, (("translate", "RUN", "4"), ("look", "RUN", "4"))),
    "captioner": Kind(
        "images", SEEING, (("ask", "RUN", "../images/3.png"), ("look", "RUN", "--image", "../images/3.png"))
    ),
    "chat": Kind("chat.jsonl", {"preset": "modern"}, (CHAT, SAMPLE, ("look", "RUN", "hello"))),
    "adapters": Kind(
        "chat.jsonl", {"lora_rank": 2}, (CHAT, ("adapter", "RUN", "new.safetensors")), base="gpt2"
    ),
}
OLD = {name: TEXT_COMMANDS for name in ("format-1", "format-2")}
"""Runs that older versions wrote, from tests/golden."""


def make_runs(folder: Path) -> dict[str, Path]:
    """Write the data into a folder, and a whole run of each kind into its folder `whole`."""
    _write_data(folder)
    whole = folder / "whole"
    for name, kind in KINDS.items():
        config = {"data": {"sources": [str(folder / kind.source)]}, "train": TRAIN}
        if kind.base:
            config |= {"model": kind.model, "init_from": {"run": str(whole / kind.base)}}
        else:
            config |= {"model": SHAPE | kind.model, "tokenizer": {"kind": kind.tokenizer, "vocab_size": 300}}
        for _ in gg.start(gg.RunConfig.model_validate(config), out=whole / name).run():
            pass
    for name in OLD:
        shutil.copytree(GOLDEN / name / "run", whole / name)
    return {path.name: path for path in sorted(whole.iterdir())}


def commands(name: str, rng: random.Random, n: int) -> list[list[str]]:
    """Return commands for a run of this kind in the folder RUN: n of them in a fixed order, or all for 0."""
    own = OLD[name] if name in OLD else KINDS[name].commands
    possible = [*own, *COMMON]
    chosen = range(len(possible)) if not n else sorted(rng.sample(range(len(possible)), n))
    return [list(possible[i]) for i in chosen]


def _write_data(folder: Path) -> None:
    """Write data for each family, images included."""
    rows = range(60)
    files = {
        "text.txt": TEXT,
        "pairs.tsv": "".join(f"{i} and {i % 7}\t{i % 7} then {i}\n" for i in rows),
        "labels.csv": "text,label\n" + "".join(f"{i} or {i % 7},{i % 2}\n" for i in rows),
    }
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    conversations.write(folder / "chat.jsonl", 40)
    for i in range(20):
        write_image(np.full((1, 8, 8), 12 * i, np.uint8), folder / "images" / f"{i}.png")
    captions = "image,caption\n" + "".join(f"{i}.png,{i}\n" for i in range(20))
    (folder / "images" / "captions.csv").write_text(captions, "utf-8")
