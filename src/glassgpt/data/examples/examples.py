"""Examples: something to read or to look at, perhaps a question, and what to answer.

Translation pairs, labeled texts, captions and answers about images are all this. Plain text is not: see
corpus.py. Where examples come from is pairs.py, images.py and the built-in tasks' own files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from glassgpt.errors import UserError

MIN_EXAMPLES = 20
"""Fewer can't be split and measured."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """What is given (`source` text, or an image and perhaps a `question` about it) and what to answer."""

    target: str
    source: str = ""
    question: str = ""
    image: int = -1
    """Index into the corpus's images."""
    where: str = ""
    """File and line, for messages."""


@dataclass(frozen=True)
class ExampleCorpus:
    """Examples to learn from and examples held out to measure on."""

    train: Sequence[Example]
    val: Sequence[Example]
    images: np.ndarray | None = None
    """(N, channels, height, width) of uint8, channels 1 (gray) or 3 (RGB)."""
    notes: tuple[str, ...] = ()
    """What the user should hear: how many were skipped and why, which columns were used."""
    test: Sequence[Example] = ()
    """Held out from training and from the choice of the best step; only built-in tasks have them."""

    def texts(self) -> Iterator[str]:
        """All text of the training examples, a line each, for a tokenizer to learn from."""
        for example in self.train:
            yield "\n".join(filter(None, (example.source, example.question, example.target))) + "\n"


def split_by_group(
    examples: Sequence[T], group_of: Callable[[T], str], val_fraction: float
) -> tuple[list[T], list[T]]:
    """Train and val; examples of one group (same source, same image) all lie on the same side.

    Groups are held out in the order of the SHA-256 of their name, so that sorted files are no trap and the
    split is the same each time. Raises UserError where one side would be empty.

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
            f"{len(examples)} examples with {len(groups)} different inputs cannot be split into some to "
            "learn from and some to measure on; give more"
        )
    return train, val
