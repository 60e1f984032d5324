"""What every tokenizer can do. What it is made of stands in char.py, byte.py and bpe.py."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np


class Tokenizer(Protocol):
    """Text to token ids and back, exactly: `decode(encode(text)) == text` for every text."""

    kind: str
    n_vocab: int
    specials: dict[str, int]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text."""
        ...

    def encode_array(self, text: str) -> np.ndarray:
        """The same ids as an array of the smallest unsigned type that holds `n_vocab`; fast on megabytes."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids. Bytes that are not UTF-8 (half a character) become U+FFFD."""
        ...

    def token_bytes(self, ids: Sequence[int]) -> bytes:
        """The bytes of some ids; concatenating them is how a stream stays exact across half characters."""
        ...

    def describe(self) -> str:
        """One line for people, such as `char: 65 characters + 256 bytes for all others`."""
        ...

    def save(self, path: Path) -> None:
        """Write one JSON file that `load_tokenizer` reads, and `tokenizers.Tokenizer.from_file` too where it can."""
        ...
