"""Running text: documents in one spool file, split into training and validation."""

from glassgpt.data.corpus.corpus import DAMAGED, UNREMARKABLE, Corpus, Document, Text, read_corpus
from glassgpt.data.corpus.spool import SURROGATES

__all__ = ["DAMAGED", "SURROGATES", "UNREMARKABLE", "Corpus", "Document", "Text", "read_corpus"]
