"""Byte tokenizer: one token per UTF-8 byte; the smallest vocabulary and the longest sequences."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from glassgpt.language import N_
from glassgpt.tokenizers.base import TableTokenizer, encoded, number_specials
from glassgpt.tokenizers.format import byte_symbols, symbols_spec


class ByteTokenizer(TableTokenizer):
    """Byte values are the ids; special tokens count up from 256.

    >>> ByteTokenizer().encode("aé")
    [97, 195, 169]
    """

    kind = "byte"

    def __init__(self, specials: Iterable[str] = ()) -> None:
        self._vocab = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
        numbered = number_specials(specials, self._vocab, first=256)
        super().__init__([bytes([byte]) for byte in range(256)] + [b""] * len(numbered), numbered)

    def with_specials(self, names: Iterable[str]) -> "ByteTokenizer":
        """Return a copy with more special tokens, with ids after all others."""
        return ByteTokenizer([*self.specials, *self._lacking(names)])

    def encode_array(self, text: str) -> np.ndarray:
        """Return the token ids of a text as an array."""
        return np.frombuffer(encoded(text), np.uint8).astype(self.dtype)

    def describe(self) -> str:
        """Return a one-line description."""
        return N_("byte: 256 bytes{specials}", specials=self._and_specials())

    def spec(self) -> dict[str, Any]:
        """Return the JSON object of a `tokenizers` file."""
        # Without its regex, byte-level pre-tokenization writes bytes as symbols and splits nothing.
        options = {"add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        byte_level = {"type": "ByteLevel", **options}
        return symbols_spec(self._vocab, self.specials, byte_level, pre_tokenizer=byte_level)
