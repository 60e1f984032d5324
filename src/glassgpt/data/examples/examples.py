"""Examples: a source text or image, perhaps a question, and a target text.

Translation pairs, labeled texts, captions and answers about images are examples. Running text is not, see
`data.corpus`. pairs.py, labeled.py, images.py and `data.datasets` read or make examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from glassgpt.errors import UserError

MIN_EXAMPLES = 20
"""Minimum for a training and a validation split."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """A source (text, or an image with an optional question) and its target."""

    target: str
    source: str = ""
    question: str = ""
    image: int = -1
    """Index into the images of the corpus; -1 without an image."""
    where: str = ""
    """File and line, for messages."""


@dataclass(frozen=True)
class ExampleCorpus:
    """Training and validation examples, with their images."""

    train: Sequence[Example]
    val: Sequence[Example]
    images: np.ndarray | None = None
    """(N, channels, height, width) of uint8, channels 1 (gray) or 3 (RGB)."""
    notes: tuple[str, ...] = ()
    """Notes for the user: skipped rows, chosen columns."""
    test: Sequence[Example] = ()
    """Not used for training or for choosing the best step. Only built-in datasets have them."""

    def texts(self) -> Iterator[str]:
        """Yield all text of the training examples, one line per field, to train a tokenizer."""
        for example in self.train:
            yield "\n".join(filter(None, (example.source, example.question, example.target))) + "\n"


def too_few(n: int, items: str, notes: Sequence[str] = ()) -> UserError:
    """Return the error for fewer than MIN_EXAMPLES items.

    >>> str(too_few(3, "examples"))
    '3 examples are too few to train and validate on; the minimum is 20. Add more.'
    """
    lines = "".join(f"\n  {note}" for note in notes)
    return UserError(
        "{n} {items} are too few to train and validate on; the minimum is {min_examples}. Add more.{lines}",
        n=n,
        items=items,
        min_examples=MIN_EXAMPLES,
        lines=lines,
    )


def split_by_group(
    examples: Sequence[T], group_of: Callable[[T], str], val_fraction: float
) -> tuple[list[T], list[T]]:
    """Split examples into train and val; examples of one group share a split.

    A group has the same source or image. Groups go to val in the order of the SHA-256 of their name, so
    sorted files are split well and the split never changes. Raises UserError if one side would be empty.

    >>> pairs = [Example("un", "one"), Example("deux", "two"), Example("UN", "one")]
    >>> train, val = split_by_group(pairs, lambda e: e.source, val_fraction=0.5)
    >>> sorted(e.source for e in train), sorted(e.source for e in val)
    (['one', 'one'], ['two'])
    """
    groups = {group_of(example) for example in examples}
    ordered = sorted(groups, key=lambda name: hashlib.sha256(name.encode("utf-8", "replace")).digest())
    held_out = set(ordered[: max(1, round(len(ordered) * val_fraction))])
    train = [example for example in examples if group_of(example) not in held_out]
    val = [example for example in examples if group_of(example) in held_out]
    if not train or not val:
        raise UserError(
            "{n_examples} examples have only {n_groups} different inputs: they cannot be split into "
            "training and validation. Add more examples.",
            n_examples=len(examples),
            n_groups=len(groups),
        )
    return train, val
