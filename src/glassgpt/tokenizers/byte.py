"""One token per byte of UTF-8: the smallest vocabulary that fits every language, and the longest sequence."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from glassgpt.tokenizers.base import TableTokenizer, encoded, number_specials
from glassgpt.tokenizers.format import byte_symbols, symbols_spec


class ByteTokenizer(TableTokenizer):
    """Ids are the values of the bytes; special tokens count up from 256.

    >>> ByteTokenizer().encode("aé")
    [97, 195, 169]
    """

    kind = "byte"

    def __init__(self, specials: Iterable[str] = ()) -> None:
        self._vocab = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
        numbered = number_specials(specials, self._vocab, first=256)
        super().__init__([bytes([byte]) for byte in range(256)] + [b""] * len(numbered), numbered)

    def with_specials(self, names: Iterable[str]) -> "ByteTokenizer":
        """The same with more special tokens, after all others."""
        return ByteTokenizer([*self.specials, *self._lacking(names)])

    def encode_array(self, text: str) -> np.ndarray:
        return np.frombuffer(encoded(text), np.uint8).astype(self.dtype)

    def describe(self) -> str:
        return f"byte: 256 bytes{self._and_specials()}"

    def spec(self) -> dict[str, Any]:
        # Without its regex, byte-level pre-tokenization only writes bytes as symbols and cuts nothing.
        options = {"add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        byte_level = {"type": "ByteLevel", **options}
        return symbols_spec(self._vocab, self.specials, byte_level, pre_tokenizer=byte_level)
