"""Score: the loss of a predictor on a text, per character and byte.

Characters and bytes belong to the text, tokens to a vocabulary. So a loss per character or byte is comparable
between models with different tokenizers, and between a model and a file compressor.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

Kind = Literal[
    "uniform", "ngram", "bidirectional_ngram", "compressor", "copy", "most_frequent", "source_hidden", "other"
]
"""Type of a predictor: a baseline's method, or `other`, such as a trained model."""


@dataclass(frozen=True)
class Score:
    """Total loss of a predictor on a whole text.

    `total_nats` is the sum of −ln p over the text. `n_chars` counts Unicode code points, `n_bytes` the bytes
    of UTF-8. `detail` tells a reader in words how the predictor works.

    >>> coin = Score("coin", total_nats=1000 * math.log(2), n_chars=1000, n_bytes=1000)
    >>> coin.bits_per_char
    1.0
    """

    name: str
    total_nats: float
    n_chars: int
    n_bytes: int
    detail: str = ""
    kind: Kind = "other"

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
        """Rebuild a score from `to_dict`; the ratios are computed again."""
        return cls(
            data["name"],
            data["total_nats"],
            data["n_chars"],
            data["n_bytes"],
            data.get("detail", ""),
            data.get("kind", "other"),
        )


def total_nats(probabilities: ArrayLike) -> float:
    """Sum −ln p over the probabilities of the symbols that occurred.

    >>> round(total_nats([0.5, 0.25]), 3)
    2.079
    """
    return -float(np.log(probabilities).sum())
