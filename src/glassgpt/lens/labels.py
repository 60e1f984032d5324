"""Names of tokens, as people read them beside a picture: one for each place of a sequence."""

from __future__ import annotations

from collections.abc import Iterable

from glassgpt.tokenizers import Tokenizer


def token_labels(tokenizer: Tokenizer, ids: Iterable[int]) -> list[str]:
    """The text of each token; special tokens by name, parts of a character by their bytes.

    >>> from glassgpt.tokenizers import train_tokenizer
    >>> token_labels(train_tokenizer("char", ["ab"], specials=("<eos>",)), [0, 1, 258])
    ['a', 'b', '<eos>']
    """
    names = {id: name for name, id in tokenizer.specials.items()}
    return [names.get(id) or _label(tokenizer.token_bytes([id])) for id in map(int, ids)]


def _label(piece: bytes) -> str:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in piece)
