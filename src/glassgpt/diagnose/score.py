"""Score: the loss of a predictor on a text, per character and byte.

Characters and bytes belong to the text, tokens to a vocabulary. So a loss per character or byte is comparable
between models with different tokenizers, and between a model and a file compressor.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from glassgpt.diagnose.stored import Amount, Size, from_stored
from glassgpt.language import N_, join_texts

Kind = Literal[
    "uniform", "ngram", "bidirectional_ngram", "compressor", "copy", "most_frequent", "source_hidden", "other"
]
"""Type of a predictor: a baseline's method, or `other`, such as a trained model."""


@dataclass(frozen=True)
class Score:
    """Total loss of a predictor on a whole text.

    `total_nats` is the sum of −ln p over the text. `n_chars` counts Unicode code points, `n_bytes` the bytes
    of UTF-8. `detail` tells a reader in words how the predictor works. `parts` are the losses of consecutive
    parts of the text, for the error of a difference (interval.py): None for a part that was not measured,
    and empty if they are unknown.

    >>> coin = Score("coin", total_nats=1000 * math.log(2), n_chars=1000, n_bytes=1000)
    >>> coin.bits_per_char
    1.0
    """

    name: str
    total_nats: Amount
    n_chars: Size
    n_bytes: Size
    detail: str = ""
    kind: Kind = "other"
    parts: tuple[Amount | None, ...] = field(default=(), repr=False)

    @property
    def nats_per_char(self) -> float:
        """Loss in nats per character."""
        return self.total_nats / self.n_chars

    @property
    def bits_per_char(self) -> float:
        """Loss in bits per character."""
        return self.total_nats / self.n_chars / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        """Loss in bits per byte of UTF-8, the unit of file compressors."""
        return self.total_nats / self.n_bytes / math.log(2)

    @property
    def perplexity_per_char(self) -> float:
        """Perplexity: the number of equally likely characters with the same loss."""
        return math.exp(self.nats_per_char)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the three ratios, ready for JSON."""
        ratios = ("nats_per_char", "bits_per_char", "bits_per_byte")
        return asdict(self) | {name: getattr(self, name) for name in ratios}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild a score from `to_dict`; the ratios are computed again.

        Raises ValueError for missing or wrong fields.
        """
        return from_stored(cls, data)

    def on_parts_of(self, other: "Score") -> "Score | None":
        """Return the score on the parts that `other` was measured on; None if that is unknown."""
        if None not in other.parts:
            return self
        if len(self.parts) != len(other.parts):
            return None
        pairs = zip(self.parts, other.parts, strict=True)
        parts = tuple(None if theirs is None else mine for mine, theirs in pairs)
        nats = math.fsum(part for part in parts if part is not None)
        return replace(self, total_nats=nats, n_chars=other.n_chars, n_bytes=other.n_bytes, parts=parts)

    def on_whole(self, other: "Score") -> float:
        """Return the loss per character on the whole text, for a score on some of its parts.

        other: a score with all parts, that finds the same ones hard, such as a counted n-gram's. A ratio
        estimator: the loss on the parts, times what the whole costs `other` and divided by what they cost it.

        >>> table = Score("table", 12.0, 2, 2, parts=(4.0, 8.0))
        >>> Score("model", 3.0, 1, 1, parts=(3.0, None)).on_whole(table)
        4.5
        """
        on_parts = other.on_parts_of(self)
        if on_parts is None or not on_parts.total_nats:
            return self.nats_per_char
        return other.nats_per_char * self.total_nats / on_parts.total_nats


def row_title(name: str) -> str:
    """Return the name of a predictor as a text that `_` can translate.

    >>> row_title("7-gram, question seen")
    '7-gram, question seen'
    """
    first, comma, rest = name.partition(", ")
    return join_texts(comma, [N_(first), N_(rest)]) if rest else N_(first)


def round_parts(parts: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    """Return losses of parts, round_parts as they are stored."""
    return tuple(round(float(part), 3) for part in parts)


def uniform_nats(n_symbols: int, n_unseen: int, n_seen: int, n_vocab: int) -> float:
    """Return the loss of a uniform guess over `n_symbols`, with `n_unseen` that training never saw.

    The guess is among the `n_seen` symbols of training; if unseen ones occur, among all `n_vocab`, because
    its probabilities must sum to 1.

    >>> round(uniform_nats(1, 0, 65, 321), 2), round(uniform_nats(1, 1, 65, 321), 2)
    (4.17, 5.77)
    """
    return n_symbols * math.log(n_vocab if n_unseen else n_seen)


def total_nats(probabilities: ArrayLike) -> float:
    """Sum −ln p over the probabilities of the symbols that occurred.

    >>> round(total_nats([0.5, 0.25]), 3)
    2.079
    """
    return -float(np.log(probabilities).sum())
