"""Examples and conversations from the user's files."""

from glassgpt.data.examples.conversations import ChatCorpus, is_chat, read_chat
from glassgpt.data.examples.dialog import Conversation, Message
from glassgpt.data.examples.evidence import evidence_of_captions, evidence_of_labels, evidence_of_pairs
from glassgpt.data.examples.examples import MIN_EXAMPLES, Example, ExampleCorpus, split_by_group, too_few
from glassgpt.data.examples.images import read_captioned
from glassgpt.data.examples.labeled import has_labels, is_labeled, read_labeled
from glassgpt.data.examples.pairs import read_pairs
from glassgpt.data.examples.table import is_table

__all__ = [
    "MIN_EXAMPLES",
    "ChatCorpus",
    "Conversation",
    "Example",
    "ExampleCorpus",
    "Message",
    "evidence_of_captions",
    "evidence_of_labels",
    "evidence_of_pairs",
    "has_labels",
    "is_chat",
    "is_labeled",
    "is_table",
    "read_captioned",
    "read_chat",
    "read_labeled",
    "read_pairs",
    "split_by_group",
    "too_few",
]
