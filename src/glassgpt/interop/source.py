"""Source of an export: a run's model, tokenizer and held-out text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassgpt.checkpoint import Run, read_state, run_tokens, weights
from glassgpt.config import ModelConfig, RunConfig
from glassgpt.errors import UserError
from glassgpt.models import Model
from glassgpt.safe_io import read_json
from glassgpt.tokenizers import Tokenizer

TEXT_TOKENS = 400_000
"""Held-out tokens that a certificate encodes again, at most."""
N_WINDOWS = 8
"""Windows of held-out text that a certificate predicts."""
MAX_RANDOM = 64
"""Tokens of a window without held-out text, at most."""
WITHOUT_TEXT = (
    "It was the best of times, it was the worst of times. 你好，世界！ Ça va? Zwölf Boxkämpfer: 3 × 4 = 12.\n"
    "\tdef add(a, b):  return a + b  # 🙂\n"
)
"""Text for a run without held-out text, such as an imported one."""


@dataclass(frozen=True)
class ExportSource:
    """A run's best model, with LoRA merged, and all that an export says about it."""

    run: Run
    config: RunConfig
    model: Model
    tokenizer: Tokenizer
    license: str = ""
    """License for the model card; empty if none was given."""

    @classmethod
    def open(cls, run: Run, license: str = "") -> ExportSource:
        """Load a run. Raises UserError if it has no usable checkpoint."""
        return cls(run, run.config(), run.model(), run.tokenizer(), license)

    @property
    def shape(self) -> ModelConfig:
        """Configuration of the merged model."""
        return self.model.config

    @property
    def prompt(self) -> str:
        """Text to begin an example with; without the mark that ends a document."""
        return self.shape.prompt.removeprefix(self.shape.end)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Weights by our names, shared ones once."""
        return weights(self.model)

    @cached_property
    def verdict(self) -> dict[str, Any] | None:
        """The stored verdict; None without one."""
        try:
            return read_json(self.run.verdict_file)
        except (UserError, OSError):
            return None

    @cached_property
    def imported(self) -> dict[str, Any]:
        """Origin of an imported run, such as its format and source; empty for a trained run."""
        try:
            found = read_state(self.run.best_checkpoint()).get("imported")
        except UserError:
            found = None
        return found if isinstance(found, dict) else {}

    @property
    def imported_from(self) -> str:
        """Class and name of the model that the run was imported from; empty for a trained run."""
        return " ".join(str(self.imported[key]) for key in ("format", "from") if key in self.imported)

    @cached_property
    def has_text(self) -> bool:
        """True if the run holds held-out text."""
        return len(self._held_out) > 1

    @cached_property
    def _held_out(self) -> np.ndarray:
        """Ids of the validation split, (N,); empty without data."""
        try:
            return run_tokens(self.run, self.tokenizer.n_vocab).val.ids
        except UserError:
            return np.zeros(0, np.int64)

    @cached_property
    def text(self) -> str:
        """Held-out text, at most `TEXT_TOKENS` tokens of it; a fixed text without any."""
        if self.has_text:
            return self.tokenizer.decode(self._held_out[:TEXT_TOKENS].astype(np.int64))
        return "".join(filter(self._is_known, WITHOUT_TEXT))

    @cached_property
    def windows(self) -> Tensor:
        """Windows of held-out tokens, spread over the split: (n, T) of int64, n ≤ `N_WINDOWS`."""
        ids = self._held_out if self.has_text else self._text_and_random_ids()
        T = min(self.shape.block_size, len(ids) if self.has_text else MAX_RANDOM)
        starts = np.unique(np.linspace(0, len(ids) - T, N_WINDOWS).astype(int))
        return torch.from_numpy(ids[starts[:, None] + np.arange(T)].astype(np.int64))

    def _text_and_random_ids(self) -> np.ndarray:
        """Ids of the fixed text, and random ones: of a run without text, most rows would stay unseen."""
        random = np.random.default_rng(0).integers(self.tokenizer.n_vocab, size=N_WINDOWS * MAX_RANDOM)
        return np.concatenate([self.tokenizer.encode(self.text), random]).astype(np.int64)

    def _is_known(self, char: str) -> bool:
        """True if the tokenizer encodes a character: one without byte tokens does not encode all."""
        try:
            return bool(self.tokenizer.encode(char))
        except UserError:
            return False
