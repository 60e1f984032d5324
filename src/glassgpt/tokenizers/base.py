"""The `Tokenizer` interface, and the shared half of its implementations: decoding and saving.

char.py, byte.py and bpe.py implement encoding. A tokenizer never adds a token that is not in the text.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from glassgpt.atomic_write import replacing
from glassgpt.errors import UserError
from glassgpt.notebook_html import html_card, pieces

_PIECE = 1 << 20  # ids decoded at once: bounds the RAM for long arrays


class Tokenizer(Protocol):
    """Lossless conversion between Unicode text and token ids: `decode(encode(text)) == text`.

    A lone surrogate (half of a UTF-16 pair, as from a broken JSON escape) is not valid Unicode and raises
    UserError.
    """

    kind: str
    n_vocab: int
    specials: dict[str, int]
    """Names and ids of special tokens such as `<eos>`. No text encodes to them; they decode to nothing."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text. Raises UserError for a lone surrogate."""
        ...

    def encode_array(self, text: str) -> np.ndarray:
        """Return the same ids as an array of the smallest unsigned type; fast for megabytes."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids. Incomplete UTF-8 becomes U+FFFD."""
        ...

    def token_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of token ids. A stream may split characters, so join bytes, not text."""
        ...

    def n_bytes(self, ids: np.ndarray) -> np.ndarray:
        """Return the number of bytes of each token: (N,); 0 for special tokens."""
        ...

    def describe(self) -> str:
        """Return a one-line description, such as `char: 65 characters + 256 bytes for all others`."""
        ...

    def with_specials(self, names: Iterable[str]) -> "Tokenizer":
        """Return a copy with more special tokens, with ids after all others. Existing ones stay."""
        ...

    def spec(self) -> dict[str, Any]:
        """Return the tokenizer as the JSON object of a `tokenizers` file."""
        ...

    def save(self, path: Path) -> None:
        """Write a JSON file for `load_tokenizer` and `tokenizers.Tokenizer.from_file`."""
        ...


def _shown(token: bytes) -> str:
    """Return the text of a token, or its bytes in hexadecimal digits if they are no character."""
    try:
        return token.decode()
    except UnicodeDecodeError:
        return f"‹{token.hex()}›"


EXAMPLE = "The quick brown fox, 狐狸 🦊"
"""Text by whose tokens a tokenizer shows itself in a notebook."""


class TableTokenizer(ABC):
    """A tokenizer with fixed bytes per token: id i decodes to row i of a table.

    A notebook shows the tokens of an example.
    """

    kind: str

    def __init__(self, table: Sequence[bytes], specials: Mapping[str, int]) -> None:
        self.n_vocab = len(table)
        self.specials = dict(specials)
        self.dtype = np.min_scalar_type(self.n_vocab - 1)
        self._flat = np.frombuffer(b"".join(table), np.uint8)
        self._length = np.array([len(row) for row in table])
        self._start = np.cumsum(self._length) - self._length

    @abstractmethod
    def encode_array(self, text: str) -> np.ndarray:
        """Return the token ids of a text as an array."""

    @abstractmethod
    def describe(self) -> str:
        """Return a one-line description."""

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """Return the tokenizer as the JSON object of a `tokenizers` file."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.describe()}>"

    def _repr_html_(self) -> str:
        return html_card(f"{self.n_vocab:,} tokens", {"tokenizer": self.describe()}, self._example())

    def _example(self) -> str:
        """Return the tokens of EXAMPLE as HTML; none if the vocabulary lacks a character."""
        try:
            ids = self.encode(EXAMPLE)
        except UserError:
            return ""
        return pieces(map(_shown, (self.token_bytes([i]) for i in ids)))

    def _lacking(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self.specials]

    def _and_specials(self) -> str:
        return f" + {' '.join(self.specials)}" if self.specials else ""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text. Raises UserError for a lone surrogate."""
        return self.encode_array(text).tolist()

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids. Incomplete UTF-8 becomes U+FFFD."""
        return self.token_bytes(ids).decode("utf-8", "replace")

    def token_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of token ids. Raises UserError for an unknown id."""
        array = np.asarray(ids if hasattr(ids, "__len__") else list(ids), dtype=np.int64)
        return b"".join(self._gather(array[i : i + _PIECE]) for i in range(0, len(array), _PIECE))

    def n_bytes(self, ids: np.ndarray) -> np.ndarray:
        """Return the number of bytes of each token: (N,); 0 for special tokens."""
        return self._length[ids]

    def _gather(self, ids: np.ndarray) -> bytes:
        unknown = ids[(ids < 0) | (ids >= self.n_vocab)]
        if len(unknown):
            raise UserError(
                "token id {unknown}: the last id of this vocabulary is {n_vocab}. Use the tokenizer that "
                "encoded the text.",
                unknown=unknown[0],
                n_vocab=self.n_vocab - 1,
            )
        length = self._length[ids]
        stop = np.cumsum(length)
        # Index of each output byte in the flat table: the start of its token, then counting up.
        where = np.repeat(self._start[ids] - (stop - length), length) + np.arange(stop[-1])
        return self._flat[where].tobytes()

    def save(self, path: Path) -> None:
        """Write `spec()` as UTF-8 JSON, with the same bytes each time. Raises UserError if that fails."""
        text = json.dumps(self.spec(), ensure_ascii=False, indent=1) + "\n"
        try:
            with replacing(Path(path)) as temporary:
                temporary.write_text(text, "utf-8", newline="\n")
        except OSError as error:
            raise UserError(
                "cannot write {path}: {strerror}. Choose another folder.", path=path, strerror=error.strerror
            ) from error


def encoded(text: str, codec: str = "utf-8") -> bytes:
    """Return `text.encode(codec)`. Raises UserError for a lone surrogate."""
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        near = text[max(0, error.start - 20) : error.start + 20]
        raise UserError(
            "the text has U+{code:04X} near {near!a}: half of a surrogate pair, which UTF-8 cannot encode. "
            "Repair it with text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace').",
            code=ord(text[error.start]),
            near=near,
        ) from None


def number_specials(names: Iterable[str], vocab: Container[str], first: int) -> dict[str, int]:
    """Assign ids to special tokens, counting up from `first`.

    Raises UserError for an empty name, a repeated name and a name in the vocabulary.

    >>> number_specials(["<bos>", "<eos>"], {"a", "b"}, first=2)
    {'<bos>': 2, '<eos>': 3}
    """
    specials: dict[str, int] = {}
    for name in names:
        if not name or name in vocab or name in specials:
            raise UserError(
                "special token {name!r}: the name is empty, repeated or already in the vocabulary. Choose "
                "another name, such as '<pad>'.",
                name=name,
            )
        encoded(name)
        specials[name] = first + len(specials)
    return specials
