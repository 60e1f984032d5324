"""How well one predictor does on a text: what it pays in total, divided by characters and by bytes.

Dividing by the text's own characters and bytes, never by tokens, is what makes predictors with different
vocabularies comparable, and a compressor comparable with a model.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Score:
    """The cost of predicting one text, all of it.

    `total_nats` is the sum of −ln p over the text, `n_chars` and `n_bytes` are its Unicode code points and
    its bytes of UTF-8, `detail` says in words what a reader should know about this predictor.

    >>> coin = Score("coin", total_nats=1000 * math.log(2), n_chars=1000, n_bytes=1000)
    >>> coin.bits_per_char
    1.0
    """

    name: str
    total_nats: float
    n_chars: int
    n_bytes: int
    detail: str = ""

    @property
    def nats_per_char(self) -> float:
        """Nats per character: the cross-entropy loss of a model whose tokens are characters."""
        return self.total_nats / self.n_chars

    @property
    def bits_per_char(self) -> float:
        """Bits per character."""
        return self.total_nats / self.n_chars / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of UTF-8: what a file compressor reports."""
        return self.total_nats / self.n_bytes / math.log(2)

    @property
    def perplexity_per_char(self) -> float:
        """How many equally likely characters the predictor in effect chooses among."""
        return math.exp(self.nats_per_char)

    def to_dict(self) -> dict[str, Any]:
        """Fields and the three ratios, ready for JSON."""
        ratios = ("nats_per_char", "bits_per_char", "bits_per_byte")
        return asdict(self) | {name: getattr(self, name) for name in ratios}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of `to_dict`; the ratios are computed anew."""
        return cls(data["name"], data["total_nats"], data["n_chars"], data["n_bytes"], data.get("detail", ""))
