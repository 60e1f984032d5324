"""Runs for the chapters: the user's run if its family fits, or a small built-in one.

The built-in runs are ordinary run folders, made by `benchmarks/builtin_runs.py`: a GPT of tinyshakespeare, a
translator of dates, and a captioner of handwritten digits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch

from glassgpt.checkpoint import Run, run_examples, run_tokens
from glassgpt.data import ExampleData, TokenData
from glassgpt.explain.content import Translate
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer

BUILTIN = Path(__file__).parent / "runs"
BUILTIN_FOR = {"gpt": "text", "seq2seq": "dates", "captioner": "scenes"}
"""Built-in run by model family."""


@dataclass(frozen=True)
class Demo:
    """Trained model with its training data."""

    name: str
    """Its name in texts: the user's folder, or “the built-in run …”."""
    run: Run
    model: Model
    tokenizer: Tokenizer

    @cached_property
    def tokens(self) -> TokenData:
        """Its tokens (gpt, bigram, encoder); examples one after the other."""
        return run_tokens(self.run, self.tokenizer.n_vocab)

    @cached_property
    def examples(self) -> ExampleData:
        """Its examples (seq2seq, captioner)."""
        return run_examples(self.run, self.tokenizer.n_vocab)


@dataclass
class ChapterContext:
    """Inputs of a chapter: the user's run, the random seed, the language.

    It notes in `own_was_shown` that a chapter took the user's run.
    """

    run: Path | None = None
    seed: int = 0
    gettext: Translate = str
    """Translation of the name of a built-in run."""
    own_was_shown: bool = field(default=False, init=False)
    """True once `demo` returned the user's own run."""

    def generator(self) -> torch.Generator:
        """Return a new random generator, the same for each call."""
        return torch.Generator().manual_seed(self.seed)

    @cached_property
    def own(self) -> Demo | None:
        """The user's run."""
        return None if self.run is None else _open(Run.open(self.run), str(self.run))

    def demo(self, *families: str, min_block: int = 1) -> Demo:
        """Return the user's run if it has one of these families, or the built-in run of the first.

        min_block: the least context length, in tokens, that can show the fact.
        """
        config = None if self.own is None else self.own.model.config
        fits = config is not None and config.family in families and config.block_size >= min_block
        if fits and self.own is not None:
            self.own_was_shown = True
            return self.own
        name, _ = BUILTIN_FOR[families[0]], self.gettext
        return _open(Run.open(BUILTIN / name), _("the built-in run “{name}”").format(name=name))


def _open(run: Run, name: str) -> Demo:
    return Demo(name, run, run.model(), run.tokenizer())
