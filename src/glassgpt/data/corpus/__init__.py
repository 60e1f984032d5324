"""Running text: documents in one spool file, split into training and validation."""

from glassgpt.data.corpus.corpus import Corpus, read_corpus
from glassgpt.data.corpus.leakage import LEAK_NOTE, stored_leakage
from glassgpt.data.corpus.text import Document, Text

__all__ = ["LEAK_NOTE", "Corpus", "Document", "Text", "read_corpus", "stored_leakage"]
