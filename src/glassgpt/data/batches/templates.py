"""How each family turns an example into ids: the one place that training, measuring and using agree on."""

from __future__ import annotations

from collections.abc import Sequence

from glassgpt.config import ModelConfig
from glassgpt.data.batches.example_tokens import Encoding
from glassgpt.data.examples import Example
from glassgpt.errors import UserError
from glassgpt.tokenizers import Tokenizer

BEGIN, SEPARATE, END, MASK = "<bos>", "<sep>", "<eos>", "<mask>"
SPECIALS = {"encoder": (MASK,), "seq2seq": (BEGIN, END), "captioner": (BEGIN, SEPARATE, END)}
"""The extra tokens that a family's tokenizer has; those that only write on need none."""


class PairTemplate:
    """seq2seq reads the source; its decoder begins with `<bos>` and ends with `<eos>`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.begin, self.end = (tokenizer.specials[name] for name in (BEGIN, END))

    def given(self, example: Example) -> Sequence[int]:
        return self.tokenizer.encode(example.source)

    def prompt(self, example: Example) -> Sequence[int]:
        return [self.begin]

    def answer(self, example: Example) -> Sequence[int]:
        return [*self.tokenizer.encode(example.target), self.end]


class ImageTemplate:
    """captioner is given an image; its decoder begins with the question and goes on with the answer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.begin, self.separate, self.end = (tokenizer.specials[name] for name in (BEGIN, SEPARATE, END))

    def given(self, example: Example) -> Sequence[int]:
        return ()

    def prompt(self, example: Example) -> Sequence[int]:
        return [self.begin, *self.tokenizer.encode(example.question), self.separate]

    def answer(self, example: Example) -> Sequence[int]:
        return [*self.tokenizer.encode(example.target), self.end]


class LabelTemplate:
    """A classifier reads the beginning of a text, as much as it can see, and names its class."""

    def __init__(self, tokenizer: Tokenizer, labels: Sequence[str], block_size: int) -> None:
        self.tokenizer, self.block_size = tokenizer, block_size
        self.number = {label: i for i, label in enumerate(labels)}

    def given(self, example: Example) -> Sequence[int]:
        # A token is at most a few dozen bytes long: what lies far beyond the block is not worth encoding.
        return self.tokenizer.encode(example.source[: 100 * self.block_size])[: self.block_size]

    def prompt(self, example: Example) -> Sequence[int]:
        return ()

    def answer(self, example: Example) -> Sequence[int]:
        return [self.number[example.target]]


def make_template(config: ModelConfig, tokenizer: Tokenizer) -> Encoding:
    """The encoding of a family whose data are examples."""
    match config.family:
        case "seq2seq":
            return PairTemplate(tokenizer)
        case "captioner":
            return ImageTemplate(tokenizer)
        case _:
            return LabelTemplate(tokenizer, config.labels, config.block_size)


def check_length(config: ModelConfig, encoding: Encoding, example: Example) -> None:
    """Raise UserError where an example is longer than the model can see."""
    sides = {
        "the source": len(encoding.given(example)),
        "the target": len(encoding.prompt(example)) + len(encoding.answer(example)) - 1,
    }
    for side, length in sides.items():
        if length > config.block_size:
            raise UserError(
                f"{example.where or side}: {side} has {length:,} tokens and the model sees "
                f"{config.block_size:,}; raise --block-size, shorten it, or leave such examples out with "
                "--skip-invalid"
            )
    if example.image < 0 and not sides["the source"]:
        raise UserError(f"{example.where or 'an example'}: the source is empty")
