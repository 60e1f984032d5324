"""Running text: documents in one spool file, split into training and validation."""

from glassgpt.data.corpus.corpus import Corpus, read_corpus
from glassgpt.data.corpus.text import Document, Text

__all__ = ["Corpus", "Document", "Text", "read_corpus"]
