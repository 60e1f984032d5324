"""Recipes that the autopilot compares, under the settings that the user gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from glassgpt.config import Resolved
from glassgpt.train.autopilot.facts import TextFacts
from glassgpt.train.autopilot.recipe import Recipe

SHAPES = ((2, 64), (2, 96), (2, 128), (4, 128), (3, 192), (4, 256), (6, 384))
"""Blocks and width."""
HEAD_WIDTH = 32
ROWS = (1 << 16, 1 << 17)
"""Rows of the n-gram table."""
NGRAM_DROPOUTS = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9)
"""Shares of the n-grams that training drops: a short text needs the most."""
SMALL_CHARS = 20_000
"""Shorter texts get SMALL: the law knows none of them, and they are learned by heart in a minute."""
SMALL = Recipe(n_layer=2, n_head=2, n_embd=64, batch=32, rate=0.35, dropout=0.3, weight_decay=1.0)
FIELDS = {
    "tokenizer": ("tokenizer.kind", "tokenizer.byte_fallback"),
    "vocab_size": ("tokenizer.vocab_size",),
    "preset": ("model.preset",),
    "n_layer": ("model.n_layer", "model.size"),
    "n_head": ("model.n_head", "model.n_kv_head", "model.n_embd", "model.size"),
    "n_embd": ("model.n_embd", "model.n_head", "model.n_kv_head", "model.size"),
    "block_size": ("model.block_size", "model.size"),
    "batch": ("train.micro_batch_size", "train.grad_accum_steps"),
    "rate": ("optim.muon_lr", "optim.lr", "optim.optimizer"),
    "weight_decay": ("optim.weight_decay",),
    "dropout": ("model.dropout",),
    "ngram_rows": ("model.ngram_rows", "model.ngram_order"),
    "ngram_dropout": ("model.ngram_dropout",),
}
"""Settings of the user that fix a field of a recipe. Heads must divide the width, so they fix it, too."""


def fixed_fields(resolved: Resolved) -> dict[str, Any]:
    """Return the fields of a recipe that the user's settings decide."""
    given = Recipe.of(resolved.config)
    return {
        field: getattr(given, field)
        for field, settings in FIELDS.items()
        if any(resolved.is_given(name) for name in settings)
    }


class Candidates:
    """The recipes for a text that keep some fixed fields.

    exportable: leave out what other programs cannot load (n-gram embeddings).
    """

    def __init__(self, text: TextFacts, fixed: Mapping[str, Any], exportable: bool = False) -> None:
        self.fixed, self.base = dict(fixed), Recipe()
        self.vocab_sizes = [n for kind, n in text.tokens if kind == "bpe"]
        tokenizers = [{"tokenizer": kind, "vocab_size": n} for kind, n in text.tokens if kind != "byte"]
        self.axes: list[list[dict[str, Any]]] = [
            tokenizers,
            [{"n_layer": n, "n_embd": d, "n_head": d // HEAD_WIDTH} for n, d in SHAPES],
            _values("block_size", 64, 128, 256),
            [{"step_tokens": n} for n in (512, 1024, 2048, 4096)],
            _values("rate", 0.35, 0.5, 0.7, 1.0),
            _values("dropout", 0.0, 0.1, 0.2),
            _values("weight_decay", 0.1, 0.3, 1.0),
        ]
        self.tables = [{"preset": "modern", "ngram_rows": 0, "ngram_dropout": 0.0}]
        if text.n_chars < SMALL_CHARS:
            self.base, self.axes = SMALL, _only(SMALL)
        elif not exportable and fixed.get("preset") in (None, "speedrun"):
            self.tables += [
                {"preset": "speedrun", "ngram_rows": rows, "ngram_dropout": p}
                for rows in ROWS
                for p in NGRAM_DROPOUTS
            ]

    @property
    def is_small(self) -> bool:
        """True if the text is too short for the law, and there is one recipe for all such texts."""
        return self.base == SMALL

    def smallest(self) -> Recipe:
        """Return the recipe with the cheapest step."""
        n_layer, n_embd = SHAPES[0]
        first = replace(self.base, n_layer=n_layer, n_embd=n_embd, n_head=n_embd // HEAD_WIDTH)
        return self._change(first, self.axes[0][0] | self.tables[-1])

    def starts(self) -> Iterator[Recipe]:
        """Yield recipes for each tokenizer: without an n-gram table, and with the least and most dropout."""
        for tokenizer in self.axes[0]:
            for table in (*self.tables[:2], self.tables[-1]):
                yield self._change(self.base, tokenizer | table)

    def neighbors(self, recipe: Recipe) -> Iterator[Iterator[Recipe]]:
        """Yield, for each axis, the recipes that differ from this one along it only."""
        for axis in [*self.axes, self.tables]:
            yield (self._change(recipe, values) for values in axis)

    def _change(self, recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe with these values and the fixed fields; a step keeps its number of tokens."""
        step_tokens = values.get("step_tokens", recipe.step_tokens)
        values = {name: value for name, value in values.items() if name != "step_tokens"} | self.fixed
        changed = replace(recipe, **values)
        if changed.tokenizer != "bpe":
            changed = replace(changed, vocab_size=0)
        elif not changed.vocab_size:
            changed = replace(changed, vocab_size=self.vocab_sizes[0])
        if "ngram_rows" not in self.fixed:
            changed = self._with_table(changed)
        if "batch" not in self.fixed:
            changed = replace(changed, batch=max(1, step_tokens // changed.block_size))
        return changed

    @staticmethod
    def _with_table(recipe: Recipe) -> Recipe:
        """Return the recipe with an n-gram table if, and only if, its architecture has one."""
        if recipe.preset != "speedrun":
            return replace(recipe, ngram_rows=0, ngram_dropout=0.0)
        return replace(recipe, ngram_rows=recipe.ngram_rows or ROWS[0])


def _only(recipe: Recipe) -> list[list[dict[str, Any]]]:
    """Return axes with the values of one recipe."""
    axes = (
        ("tokenizer", "vocab_size"),
        ("n_layer", "n_embd", "n_head"),
        *(("block_size",), ("step_tokens",), ("rate",), ("dropout",), ("weight_decay",)),
    )
    return [[{name: getattr(recipe, name) for name in axis}] for axis in axes]


def _values(field: str, *values: Any) -> list[dict[str, Any]]:
    return [{field: value} for value in values]
