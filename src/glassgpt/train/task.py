"""What a run learns: where its batches come from, what its loss is divided by, what is said of the result.

The trainer knows only this; each kind of data has its own: running text, text with gaps, examples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from glassgpt.config import RunConfig
from glassgpt.data import Batch
from glassgpt.diagnose import AccuracyVerdict, Score, Verdict
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer

EVAL_TOKENS = 16_384
"""Tokens per forward pass of an evaluation, at most; large enough to be quick."""
EVAL_LOGITS = 1 << 26
"""Logits per forward pass of an evaluation, at most: 256 MB in float32."""


@dataclass(frozen=True)
class Lengths:
    """What is predicted in a validation split, counted in three units."""

    n_tokens: int
    n_chars: int
    n_bytes: int


class Task(ABC):
    """One run's data, opened. `baselines` are what its loss is held against."""

    baselines: list[Score]
    val: Lengths
    has_answers = False
    """Whether a prediction is right or wrong as a whole, so that those that are right can be counted."""
    notes: tuple[str, ...] = ()
    """What the user should hear of how the data were prepared."""
    tokens_per_char: float
    """Of what is predicted in training: turns nats per token into nats per character."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer) -> None:
        self.config, self.tokenizer = config, tokenizer

    @abstractmethod
    def train_batch(self, index: int, B: int) -> Batch:
        """Batch number `index`: a pure function, so that there is no state to lose."""

    @abstractmethod
    def eval_batches(self) -> Iterator[Batch]:
        """The whole validation split, each target once."""

    @abstractmethod
    def sample(self, model: Model, n_tokens: int, seed: int) -> str:
        """What the model makes of this task, to be looked at."""

    def warnings(self) -> list[str]:
        """What the user should know before the training."""
        return []

    @abstractmethod
    def verdict(self, score: Score, best: Callable[[], Model]) -> Verdict | AccuracyVerdict:
        """The best validation loss beside the baselines; `best()` loads the model that had it."""

    @property
    def eval_tokens(self) -> int:
        """Tokens that an evaluation takes at once."""
        return min(EVAL_TOKENS, EVAL_LOGITS // self.tokenizer.n_vocab)
