"""Tokenizers: characters, bytes or byte-level BPE, each stored in one `tokenizer.json`."""

from glassgpt.tokenizers.base import Tokenizer
from glassgpt.tokenizers.bpe import BpeTokenizer
from glassgpt.tokenizers.byte import ByteTokenizer
from glassgpt.tokenizers.char import CharTokenizer
from glassgpt.tokenizers.format import byte_symbols
from glassgpt.tokenizers.make import END_OF_DOCUMENT, load_tokenizer, train_tokenizer

__all__ = [
    "END_OF_DOCUMENT",
    "BpeTokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "Tokenizer",
    "byte_symbols",
    "load_tokenizer",
    "train_tokenizer",
]
