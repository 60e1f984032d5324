"""Floor 2: text in, batches out."""

from glassgpt.data.batch import IGNORE, Batch
from glassgpt.data.chat import CHAT_SPECIALS, ChatTemplate, write_chat
from glassgpt.data.conversations import ChatCorpus, Conversation, Message, is_chat, read_chat
from glassgpt.data.corpus import Corpus, Document, Text, read_corpus
from glassgpt.data.encodings import SPECIALS, check_length, make_encoding
from glassgpt.data.example_tokens import (
    Encoding,
    ExampleBatches,
    ExampleData,
    ExampleSplit,
    eval_rows,
    open_examples,
    write_examples,
)
from glassgpt.data.examples import Example, ExampleCorpus, split_by_group
from glassgpt.data.intake import fit_examples, read_examples
from glassgpt.data.masked import MEASURED, MaskedWindows, hidden_places, masked_eval_batches
from glassgpt.data.pixels import read_image, write_image
from glassgpt.data.tokens import Split, TokenData, open_tokens, write_tokens
from glassgpt.data.windows import TrainWindows, eval_batches

__all__ = [
    "CHAT_SPECIALS",
    "IGNORE",
    "MEASURED",
    "SPECIALS",
    "Batch",
    "ChatCorpus",
    "ChatTemplate",
    "Conversation",
    "Corpus",
    "Document",
    "Encoding",
    "Example",
    "ExampleBatches",
    "ExampleCorpus",
    "ExampleData",
    "ExampleSplit",
    "MaskedWindows",
    "Message",
    "Split",
    "Text",
    "TokenData",
    "TrainWindows",
    "check_length",
    "eval_batches",
    "eval_rows",
    "fit_examples",
    "hidden_places",
    "is_chat",
    "make_encoding",
    "masked_eval_batches",
    "open_examples",
    "open_tokens",
    "read_chat",
    "read_corpus",
    "read_examples",
    "read_image",
    "split_by_group",
    "write_chat",
    "write_examples",
    "write_image",
    "write_tokens",
]
