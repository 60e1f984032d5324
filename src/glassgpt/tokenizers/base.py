"""What every tokenizer can do, and the half that all of them share: from ids back to bytes, and the file.

From text to ids is each kind's own affair: char.py, byte.py and bpe.py. Nothing here knows about models; a
tokenizer never adds a token that the text does not hold.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from glassgpt.errors import UserError

_PIECE = 1 << 20  # ids looked up at once: bounds the memory of long arrays


class Tokenizer(Protocol):
    """Text to token ids and back, exactly: `decode(encode(text)) == text` for every text that is Unicode.

    A lone surrogate (half of a UTF-16 pair, as from a broken JSON escape) is not Unicode, and refused.
    """

    kind: str
    n_vocab: int
    specials: dict[str, int]
    """Names and ids of tokens such as `<eos>`. Text never encodes to them, and they decode to nothing."""

    def encode(self, text: str) -> list[int]:
        """Token ids of a text. Raises UserError for a lone surrogate."""
        ...

    def encode_array(self, text: str) -> np.ndarray:
        """The same ids as an array of the smallest unsigned type that holds them all; fast on megabytes."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids. Bytes that are not UTF-8 (half a character) become U+FFFD."""
        ...

    def token_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of some ids; concatenating them is how a stream stays exact across half characters."""
        ...

    def describe(self) -> str:
        """One line for people, such as `char: 65 characters + 256 bytes for all others`."""
        ...

    def with_specials(self, names: Iterable[str]) -> "Tokenizer":
        """The same with more special tokens, whose ids come after all others; those it has stay."""
        ...

    def save(self, path: Path) -> None:
        """Write one JSON file that `load_tokenizer` reads, and `tokenizers.Tokenizer.from_file` too."""
        ...


class TableTokenizer(ABC):
    """A tokenizer whose every token stands for fixed bytes: row i of the table is what id i decodes to."""

    kind: str

    def __init__(self, table: Sequence[bytes], specials: Mapping[str, int]) -> None:
        self.n_vocab = len(table)
        self.specials = dict(specials)
        self.dtype = np.min_scalar_type(self.n_vocab - 1)
        self._flat = np.frombuffer(b"".join(table), np.uint8)
        self._length = np.array([len(row) for row in table])
        self._start = np.cumsum(self._length) - self._length

    @abstractmethod
    def encode_array(self, text: str) -> np.ndarray: ...

    @abstractmethod
    def describe(self) -> str: ...

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """The tokenizer as the JSON object of a `tokenizers` file."""

    def _lacking(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self.specials]

    def _and_specials(self) -> str:
        return f" + {' '.join(self.specials)}" if self.specials else ""

    def encode(self, text: str) -> list[int]:
        return self.encode_array(text).tolist()

    def decode(self, ids: Iterable[int]) -> str:
        return self.token_bytes(ids).decode("utf-8", "replace")

    def token_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of some ids, in any container or array. Raises UserError for an unknown id."""
        array = np.asarray(ids if hasattr(ids, "__len__") else list(ids), dtype=np.int64)
        return b"".join(self._gather(array[i : i + _PIECE]) for i in range(0, len(array), _PIECE))

    def _gather(self, ids: np.ndarray) -> bytes:
        strange = ids[(ids < 0) | (ids >= self.n_vocab)]
        if len(strange):
            raise UserError(
                f"token id {strange[0]} is not in this vocabulary, which ends at {self.n_vocab - 1}; "
                "use the tokenizer that the ids were made with"
            )
        length = self._length[ids]
        stop = np.cumsum(length)
        # Where each byte of the output stands in the flat table: the start of its token, then counting up.
        where = np.repeat(self._start[ids] - (stop - length), length) + np.arange(stop[-1])
        return self._flat[where].tobytes()

    def save(self, path: Path) -> None:
        """Write `spec()` as UTF-8 JSON, the same bytes each time. Raises UserError where that fails."""
        text = json.dumps(self.spec(), ensure_ascii=False, indent=1) + "\n"
        try:
            Path(path).write_text(text, "utf-8", newline="\n")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; choose another folder") from error


def encoded(text: str, codec: str = "utf-8") -> bytes:
    """`text.encode(codec)`, where a lone surrogate raises UserError instead."""
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        near = text[max(0, error.start - 20) : error.start + 20]
        raise UserError(
            f"the text holds U+{ord(text[error.start]):04X} near {near!a}: half of a surrogate pair, which "
            "UTF-8 cannot express; repair it with "
            "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
        ) from None


def number_specials(names: Iterable[str], vocab: Container[str], first: int) -> dict[str, int]:
    """Ids for special tokens, counted up from `first`.

    Raises UserError for a name that is empty, given twice or already a token of the vocabulary.

    >>> number_specials(["<bos>", "<eos>"], {"a", "b"}, first=2)
    {'<bos>': 2, '<eos>': 3}
    """
    specials: dict[str, int] = {}
    for name in names:
        if not name or name in vocab or name in specials:
            raise UserError(
                f"the special token {name!r} is empty, given twice or an ordinary token already; "
                "give it a name of its own, such as '<pad>'"
            )
        encoded(name)
        specials[name] = first + len(specials)
    return specials
