"""Templates from examples to token ids, shared by training, evaluation and inference.

Each family has one template. Conversations have their own, see chat_template.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from glassgpt.config import ModelConfig
from glassgpt.data.examples import Example
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.tokenizers import Tokenizer

BEGIN = "<bos>"
SEPARATE = "<sep>"
END = "<eos>"
MASK = "<mask>"


class Template(Protocol):
    """The token ids of one example, in three parts."""

    def source(self, example: Example) -> Sequence[int]:
        """Return the input of the encoder; empty if the input is an image."""
        ...

    def prompt(self, example: Example) -> Sequence[int]:
        """Return the start of the decoder's input; empty for a classifier."""
        ...

    def answer(self, example: Example) -> Sequence[int]:
        """Return the ids to predict: the target tokens, or one class id."""
        ...


class PairTemplate:
    """Seq2seq: the encoder reads the source; the decoder continues `<bos>` up to `<eos>`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.begin, self.end = (tokenizer.specials[name] for name in (BEGIN, END))

    def source(self, example: Example) -> Sequence[int]:
        """Encode the source text."""
        return self.tokenizer.encode(example.source)

    def prompt(self, example: Example) -> Sequence[int]:
        """Return `<bos>`."""
        return [self.begin]

    def answer(self, example: Example) -> Sequence[int]:
        """Encode the target text, with `<eos>`."""
        return [*self.tokenizer.encode(example.target), self.end]


class ImageTemplate:
    """Captioner: the encoder reads an image; the decoder continues the question with the answer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        # Questions and answers recur by the thousand.
        self._encode = lru_cache(maxsize=4096)(tokenizer.encode)
        self.begin, self.separate, self.end = (tokenizer.specials[name] for name in (BEGIN, SEPARATE, END))

    def source(self, example: Example) -> Sequence[int]:
        """Return no ids: the source is an image."""
        return ()

    def prompt(self, example: Example) -> Sequence[int]:
        """Encode the question between `<bos>` and `<sep>`."""
        return [self.begin, *self._encode(example.question), self.separate]

    def answer(self, example: Example) -> Sequence[int]:
        """Encode the target text, with `<eos>`."""
        return [*self._encode(example.target), self.end]


class LabelTemplate:
    """Classifier: the encoder reads the first `block_size` tokens and predicts one class id."""

    def __init__(self, tokenizer: Tokenizer, labels: Sequence[str], block_size: int) -> None:
        self.tokenizer, self.block_size = tokenizer, block_size
        self.number = {label: i for i, label in enumerate(labels)}

    def source(self, example: Example) -> Sequence[int]:
        """Encode the text and keep its first `block_size` tokens."""
        # A token has at most a few dozen bytes, so characters far beyond the block need no encoding.
        return self.tokenizer.encode(example.source[: 100 * self.block_size])[: self.block_size]

    def prompt(self, example: Example) -> Sequence[int]:
        """Return no ids: a classifier has no decoder."""
        return ()

    def answer(self, example: Example) -> Sequence[int]:
        """Return the class id."""
        return [self.number[example.target]]


def check_length(config: ModelConfig, template: Template, example: Example) -> None:
    """Raise UserError if an example is empty or longer than `block_size` tokens."""
    source = len(template.source(example))
    target = len(template.prompt(example)) + len(template.answer(example)) - 1
    for side, length in ((N_("the source"), source), (N_("the target"), target)):
        if length > config.block_size:
            raise UserError(
                "{where}: {side} has {length:,} tokens, but `block_size` is {block_size:,}. Raise "
                "`block_size`, shorten the text, or set `skip_invalid`.",
                where=example.where or N_("an example"),
                side=side,
                length=length,
                block_size=config.block_size,
            )
    if example.image < 0 and not source:
        raise UserError(
            "{where}: the source is empty. Add a text, or remove the example.",
            where=example.where or N_("an example"),
        )
