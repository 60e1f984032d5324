"""Text to token ids and back: characters, bytes, or byte-level BPE, each kept in one `tokenizer.json`."""

from glassgpt.errors import UserError
from glassgpt.tokenizers.base import Tokenizer
from glassgpt.tokenizers.bpe import BpeTokenizer
from glassgpt.tokenizers.byte import ByteTokenizer
from glassgpt.tokenizers.char import CharTokenizer

__all__ = ["BpeTokenizer", "ByteTokenizer", "CharTokenizer", "Tokenizer", "load_tokenizer", "train_tokenizer"]

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MAX_FILE = 100_000_000

"""Largest tokenizer file that is read, in bytes; all characters of Unicode take a quarter of that."""


def train_tokenizer(
    kind: str, chunks: Iterable[str], *, vocab_size: int = 4096, specials: Iterable[str] = ()
) -> Tokenizer:
    """A tokenizer of this kind (`char`, `byte`, `bpe`) for a text that comes in pieces.

    `vocab_size` is the number of tokens of a BPE, specials included; it ends up smaller where the text does
    not support as many, and the other kinds ignore it. `specials` are extra tokens with ids after all others,
    which no text encodes to. Raises UserError for an unknown kind, lone surrogates in the text, a special
    token whose name is taken, or a `vocab_size` without room for all bytes.

    >>> train_tokenizer("char", ["to be ", "or not"], specials=["<eos>"]).describe()
    'char: 7 characters + 256 bytes for all others + <eos>'
    """
    pieces = [chunks] if isinstance(chunks, str) else chunks
    match kind:
        case "char":
            return CharTokenizer.train(pieces, specials)
        case "byte":
            return ByteTokenizer(specials)
        case "bpe":
            return BpeTokenizer.train(pieces, vocab_size, specials)
        case _:
            raise UserError(f"there is no tokenizer {kind!r}; choose char, byte or bpe")


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a `tokenizer.json`: one of ours, or another project's byte-level BPE such as GPT-2's.

    Raises UserError for a file that is missing, too large, damaged, or unable to keep every text exact.
    """
    try:
        return _from_spec(_read(Path(path)))
    except UserError as error:
        raise UserError(
            f"cannot use {path} as a tokenizer: {error}; give the tokenizer.json of a run, or one of a "
            "byte-level BPE such as GPT-2's"
        ) from error


def _read(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if size > MAX_FILE:
            raise UserError(f"it has {size} bytes, and {MAX_FILE} is the limit")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(str(error.strerror)) from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"it is not JSON ({error})") from error


def _from_spec(spec: Any) -> Tokenizer:
    """The kind shows in the structure: a file of ours is exactly what its tokenizer would write again."""
    try:
        vocab = spec["model"]["vocab"]
        specials = [token["content"] for token in spec["added_tokens"]]
        fallback = bool(spec["model"].get("byte_fallback"))
        if fallback or not spec["pre_tokenizer"]:  # characters come as they are, bytes as symbols
            chars = [token for token in vocab if len(token) == 1]
            ours = CharTokenizer(chars, specials, fallback=fallback)
        else:
            ours = ByteTokenizer(specials)
        return ours if ours.spec() == spec else BpeTokenizer.from_spec(spec)
    except UserError:
        raise
    except Exception as error:  # a damaged file breaks anywhere, and `tokenizers` raises bare Exception
        raise UserError(f"it is damaged, or no tokenizer ({type(error).__name__}: {error})") from error
