"""A recipe: the settings that the autopilot chooses."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Self

from glassgpt.config import RunConfig, Tables

NGRAM_ORDER, BPE_ORDER = 5, 3
"""Longest n-gram of the table over characters, and over BPE tokens: three of these are as many characters.

Longer ones of BPE tokens are rare, and take rows from the others.
"""
BASE_RATES = {"lr": 0.02, "muon_lr": 0.03}
"""Peak learning rates that `rate` multiplies."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training, as far as its speed and its loss follow from them."""

    tokenizer: str = "char"
    vocab_size: int = 0
    """Tokens of a BPE tokenizer; 0 for the others."""
    preset: str = "modern"
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    block_size: int = 64
    batch: int = 16
    """Sequences per step."""
    rate: float = 1.0
    """Peak learning rates, as a multiple of `BASE_RATES`."""
    weight_decay: float = 0.1
    dropout: float = 0.0
    ngram_rows: int = 0
    """Rows of the n-gram table; 0 for a model without."""
    ngram_dropout: float = 0.0

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the recipe of a complete configuration."""
        model, train = config.model, config.train
        return cls(
            config.tokenizer.kind,
            config.tokenizer.vocab_size if config.tokenizer.kind == "bpe" else 0,
            model.preset,
            model.n_layer,
            model.n_head,
            model.n_embd,
            model.block_size,
            train.micro_batch_size * train.grad_accum_steps,
            round(config.optim.muon_lr / BASE_RATES["muon_lr"], 6),
            config.optim.weight_decay,
            model.dropout,
            model.ngram_rows if model.ngram_order else 0,
            model.ngram_dropout,
        )

    @property
    def step_tokens(self) -> int:
        """Tokens of a training step."""
        return self.batch * self.block_size

    @property
    def block_params(self) -> int:
        """Weights of all blocks: 4 d² of attention and about 8 d² of the MLP in each.

        >>> Recipe().block_params
        786432
        """
        return 12 * self.n_layer * self.n_embd**2

    @property
    def ngram_order(self) -> int:
        """Longest n-gram of the table.

        >>> Recipe().ngram_order, Recipe("bpe", 1024).ngram_order
        (5, 3)
        """
        return BPE_ORDER if self.tokenizer == "bpe" else NGRAM_ORDER

    def tables(self, without: Collection[str] = ()) -> Tables:
        """Return the settings as tables of a configuration.

        without: fields to leave out, because the user's settings decide them.

        >>> Recipe(tokenizer="bpe", vocab_size=1024).tables()["tokenizer"]
        {'kind': 'bpe', 'vocab_size': 1024}
        """
        tables: Tables = {}
        for field, settings in self._settings().items():
            for name, value in settings.items() if field not in without else ():
                table, _, setting = name.partition(".")
                tables.setdefault(table, {})[setting] = value
        return tables

    def _settings(self) -> dict[str, dict[str, Any]]:
        """Return the settings by field, each under its dotted name."""
        found = {
            "tokenizer": {"tokenizer.kind": self.tokenizer},
            "rate": {f"optim.{name}": round(base * self.rate, 6) for name, base in BASE_RATES.items()},
            "weight_decay": {"optim.weight_decay": self.weight_decay},
            "batch": {"train.micro_batch_size": self.batch},
        }
        for name in ("preset", "n_layer", "n_head", "n_embd", "block_size", "dropout"):
            found[name] = {f"model.{name}": getattr(self, name)}
        if self.vocab_size:
            found["vocab_size"] = {"tokenizer.vocab_size": self.vocab_size}
        if self.ngram_rows:
            found["ngram_rows"] = {"model.ngram_order": self.ngram_order, "model.ngram_rows": self.ngram_rows}
            found["ngram_dropout"] = {"model.ngram_dropout": self.ngram_dropout}
        return found
