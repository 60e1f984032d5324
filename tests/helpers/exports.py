"""Models with random weights as sources of an export, without a training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from glassgpt.checkpoint import Run
from glassgpt.config import RunConfig
from glassgpt.data import BEGIN, CHAT_SPECIALS, END, MASK, SEPARATE
from glassgpt.interop.source import ExportSource
from glassgpt.models import build
from glassgpt.tokenizers import Tokenizer, train_tokenizer

TEXT = (
    "The moon sees 7 green boats, and no bird sings.\n\tЁлка «ёжик»  中文，你好。 🙂👍🏽 naïve café\r\n"
    "def f(x): return x * 2  # ok\n"
)


SPECIALS = {"seq2seq": (BEGIN, END), "captioner": (BEGIN, SEPARATE, END), "encoder": (MASK,)}
"""Special tokens by family."""


def tokenizer(kind: str, specials: tuple[str, ...] = ()) -> Tokenizer:
    """Return a tokenizer of a kind: char, byte, bpe, or chat (bpe with the tokens of conversations)."""
    if kind == "chat":
        return train_tokenizer("bpe", [TEXT] * 20, vocab_size=300, specials=CHAT_SPECIALS)
    return train_tokenizer(kind, [TEXT] * 20, vocab_size=420, specials=specials)


def random_source(folder: Path, kind: str = "char", seed: int = 0, **model: Any) -> ExportSource:
    """Return a source with random weights, large enough that every tensor matters. model: its settings."""
    fields: Mapping[str, object] = {"n_layer": 2, "n_head": 4, "n_embd": 32, "block_size": 64} | model
    config = RunConfig.model_validate({"data": {"sources": ["text.txt"]}, "model": fields})
    known = tokenizer(kind, SPECIALS.get(config.model.family, ()))
    torch.manual_seed(seed)
    built = build(config.model, known.n_vocab).eval()
    with torch.no_grad():
        for p in built.parameters():
            p.normal_(mean=float(p.ndim == 1), std=0.2)  # gains around 1, biases and matrices too
    return ExportSource(Run(folder), config, built, known)


def edit_tokenizer(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return a function that changes the tokenizer of a written folder."""

    def edit(folder: Path) -> None:
        spec = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        change(spec)
        (folder / "tokenizer.json").write_text(json.dumps(spec), "utf-8")

    return edit


def swap_ids(spec: dict[str, Any]) -> None:
    """Exchange the ids of two tokens."""
    vocab = spec["model"]["vocab"]
    (a, i), (b, j) = list(vocab.items())[5:7]
    vocab[a], vocab[b] = j, i
