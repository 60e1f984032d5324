"""Make tokenizers: train one of a kind, or load one from its `tokenizer.json`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from glassgpt.errors import UserError
from glassgpt.safe_io import read_json
from glassgpt.tokenizers.base import Tokenizer
from glassgpt.tokenizers.bpe import BpeTokenizer
from glassgpt.tokenizers.byte import ByteTokenizer
from glassgpt.tokenizers.char import CharTokenizer

END_OF_DOCUMENT = "\x1e"
"""Mark after a document, Unicode's record separator. It is one token of every tokenizer: BPE never learns to
join it with other bytes. Baselines count it like any character."""
MAX_FILE = 1 << 25
"""Largest tokenizer file, in bytes. Vocabularies of 250,000 tokens take half of it."""


def train_tokenizer(
    kind: str,
    chunks: Iterable[str],
    *,
    vocab_size: int = 4096,
    specials: Iterable[str] = (),
    byte_fallback: bool = True,
) -> Tokenizer:
    """Train a tokenizer of a kind (`char`, `byte`, `bpe`) on chunks of text.

    vocab_size: number of BPE tokens, specials included; fewer if the text supports fewer. Other kinds ignore
    it. specials: extra tokens with ids after all others; no text encodes to them. byte_fallback: give char
    256 byte tokens for characters that are not in the text. Raises UserError for an unknown kind, lone
    surrogates, a repeated special token, and a `vocab_size` too small for all bytes.

    >>> train_tokenizer("char", ["to be ", "or not"], specials=["<eos>"]).describe()
    'char: 7 characters + 256 bytes for all others + <eos>'
    """
    pieces = [chunks] if isinstance(chunks, str) else chunks
    match kind:
        case "char":
            return CharTokenizer.train(pieces, specials, fallback=byte_fallback)
        case "byte":
            return ByteTokenizer(specials)
        case "bpe":
            pieces = (piece.replace(END_OF_DOCUMENT, "\n") for piece in pieces)
            return BpeTokenizer.train(pieces, vocab_size, specials)
        case _:
            raise UserError("unknown tokenizer {kind!r}. Choose char, byte or bpe.", kind=kind)


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a `tokenizer.json`: a GlassGPT tokenizer, or a foreign byte-level BPE such as GPT-2's.

    Raises UserError for a file that is missing, too large, damaged, or not lossless.
    """
    spec = read_json(Path(path).resolve(), MAX_FILE)
    try:
        return _from_spec(spec)
    except UserError as error:
        raise UserError(
            "cannot use {path} as a tokenizer: {error}. Give the tokenizer.json of a run, or one of a "
            "byte-level BPE such as GPT-2's.",
            path=path,
            error=error,
        ) from error


def _from_spec(spec: Any) -> Tokenizer:
    """Recognize the kind by its structure: a GlassGPT file equals its tokenizer's own `spec()`."""
    try:
        vocab = spec["model"]["vocab"]
        specials = [token["content"] for token in spec["added_tokens"]]
        fallback = bool(spec["model"].get("byte_fallback"))
        if fallback or not spec["pre_tokenizer"]:  # characters stand for themselves, bytes are symbols
            chars = [token for token in vocab if len(token) == 1]
            ours = CharTokenizer(chars, specials, fallback=fallback)
        else:
            ours = ByteTokenizer(specials)
        return ours if ours.spec() == spec else BpeTokenizer.from_spec(spec)
    except UserError:
        raise
    except Exception as error:  # a damaged file fails anywhere, and `tokenizers` raises plain Exception
        raise UserError(
            "it is damaged or not a tokenizer ({name}: {error})", name=type(error).__name__, error=error
        ) from error
