"""Floor 2: text in, batches out."""

from glassgpt.data.corpus import Corpus, Document, Text, read_corpus
from glassgpt.data.tokens import Split, TokenData, open_tokens, write_tokens
from glassgpt.data.windows import IGNORE, Batch, TrainWindows, eval_batches

__all__ = [
    "IGNORE",
    "Batch",
    "Corpus",
    "Document",
    "Split",
    "Text",
    "TokenData",
    "TrainWindows",
    "eval_batches",
    "open_tokens",
    "read_corpus",
    "write_tokens",
]
