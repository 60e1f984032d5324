"""Character tokenizer: one token per training character, and 256 byte tokens for all others.

There is no "unknown" token: an unseen character becomes its UTF-8 bytes and decodes exactly. Without byte
tokens, as in models imported from other programs, it raises UserError.
"""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from glassgpt.errors import UserError
from glassgpt.language import N_, _
from glassgpt.tokenizers.base import TableTokenizer, encoded, number_specials
from glassgpt.tokenizers.format import symbols_spec

_CODE_POINTS = 0x110000
_PIECE = 1 << 18  # characters encoded at once: they fit into the processor's cache


class CharTokenizer(TableTokenizer):
    """Ids are n characters by code point, then 256 bytes, then the special tokens.

    With `fallback=False` there are no bytes, and encoding raises UserError for an unseen character.

    >>> tokenizer = CharTokenizer("hello")
    >>> tokenizer.encode("hole"), tokenizer.encode("é")  # é is the bytes C3 A9: 4 + 195, 4 + 169
    ([1, 3, 2, 0], [199, 173])
    >>> tokenizer.decode([1, 3, 2, 0, 199, 173])
    'holeé'
    >>> CharTokenizer("hello", fallback=False).describe()
    'char: 4 characters and no others'
    """

    kind = "char"

    def __init__(self, chars: Iterable[str], specials: Iterable[str] = (), *, fallback: bool = True) -> None:
        self.chars, self.fallback = "".join(sorted(set(chars))), fallback
        if not (self.chars or fallback):
            raise UserError("the text has no characters for a vocabulary. Give a text with some.")
        n_bytes = 256 if fallback else 0
        symbols = [*self.chars, *(f"<0x{byte:02X}>" for byte in range(n_bytes))]
        self._vocab = {symbol: id for id, symbol in enumerate(symbols)}
        numbered = number_specials(specials, self._vocab, first=len(symbols))
        rows = [encoded(char) for char in self.chars] + [bytes([byte]) for byte in range(n_bytes)]
        super().__init__(rows + [b""] * len(numbered), numbered)
        # An unseen character maps to n: the first byte token, if there are byte tokens.
        room = np.promote_types(self.dtype, np.min_scalar_type(len(self.chars)))
        self._id_of = np.full(_CODE_POINTS, len(self.chars), room)
        self._id_of[_code_points(self.chars)] = np.arange(len(self.chars))

    @classmethod
    def train(cls, chunks: Iterable[str], specials: Iterable[str] = (), *, fallback: bool = True) -> Self:
        """Make the tokenizer of all characters in some chunks of text."""
        seen = np.zeros(_CODE_POINTS, bool)
        for chunk in chunks:
            seen[_code_points(chunk)] = True
        return cls(map(chr, np.flatnonzero(seen).tolist()), specials, fallback=fallback)

    @property
    def symbols(self) -> dict[str, int]:
        """Characters, bytes and special tokens by name, with their ids, in order."""
        return self._vocab | self.specials

    def with_characters(self, chars: Iterable[str]) -> "CharTokenizer":
        """Return a copy with more characters. The ids of others change: `symbols` has both."""
        return CharTokenizer([*self.chars, *chars], self.specials, fallback=self.fallback)

    def with_specials(self, names: Iterable[str]) -> "CharTokenizer":
        """Return a copy with more special tokens, with ids after all others.

        >>> CharTokenizer("ab", ["<eos>"]).with_specials(["<end>", "<eos>"]).specials
        {'<eos>': 258, '<end>': 259}
        """
        return CharTokenizer(self.chars, [*self.specials, *self._lacking(names)], fallback=self.fallback)

    def encode_array(self, text: str) -> np.ndarray:
        """Return the token ids of a text as an array."""
        pieces = [self._encode_piece(text[i : i + _PIECE]) for i in range(0, len(text), _PIECE)]
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0, self.dtype), *pieces])

    def _encode_piece(self, text: str) -> np.ndarray:
        codes = _code_points(text)
        ids = self._id_of[codes]
        unseen = ids == len(self.chars)
        if not unseen.any():
            return ids.astype(self.dtype, copy=False)
        strange = codes[unseen]
        if not self.fallback:
            raise UserError(_not_there(chr(strange[0]), len(self.chars)))
        n_tokens = np.ones(len(ids), np.int64)
        n_tokens[unseen] += (strange >= 0x80).astype(int) + (strange >= 0x800) + (strange >= 0x10000)
        ids = np.repeat(ids, n_tokens)
        utf8 = strange.tobytes().decode("utf-32-le").encode("utf-8")
        ids[np.repeat(unseen, n_tokens)] += np.frombuffer(utf8, np.uint8)
        return ids

    def describe(self) -> str:
        """Return a one-line description."""
        others = N_(" + 256 bytes for all others") if self.fallback else N_(" and no others")
        return N_(
            "char: {n_chars} characters{others}{specials}",
            n_chars=len(self.chars),
            others=others,
            specials=self._and_specials(),
        )

    def spec(self) -> dict[str, Any]:
        """Return the JSON object of a `tokenizers` file."""
        decoder = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}
        return symbols_spec(self._vocab, self.specials, decoder, byte_fallback=self.fallback)


def _not_there(char: str, n_chars: int) -> str:
    return _(
        "the text has {char!a} (U+{code:04X}): it is not among the {n_chars} characters of this vocabulary "
        "without byte tokens. Leave the character out, or train with `byte_fallback`.",
        char=char,
        code=ord(char),
        n_chars=n_chars,
    )


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(encoded(text, "utf-32-le"), np.dtype("<u4"))
