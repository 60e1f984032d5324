"""Token ids on disk, and the batches cut from them."""

from glassgpt.data.batches.batch import IGNORE, Batch
from glassgpt.data.batches.chat_format import CHAT_SPECIALS, find_chat_format
from glassgpt.data.batches.chat_template import ChatTemplate, write_chat
from glassgpt.data.batches.example_tokens import (
    ExampleBatches,
    ExampleData,
    ExampleSplit,
    eval_rows,
    open_examples,
    write_examples,
)
from glassgpt.data.batches.masked import (
    EVAL_MASK_FRACTION,
    MaskedWindows,
    eval_mask,
    masked_eval_batches,
    sliding_masked_batches,
)
from glassgpt.data.batches.ragged import Ragged, group_by_length
from glassgpt.data.batches.templates import (
    BEGIN,
    END,
    MASK,
    SEPARATE,
    ImageTemplate,
    LabelTemplate,
    PairTemplate,
    Template,
    check_length,
)
from glassgpt.data.batches.tokens import Split, TokenData, open_tokens, write_tokens
from glassgpt.data.batches.windows import (
    TrainWindows,
    context_pairs,
    eval_batches,
    eval_starts,
    sliding_batches,
)

__all__ = [
    "BEGIN",
    "CHAT_SPECIALS",
    "END",
    "EVAL_MASK_FRACTION",
    "IGNORE",
    "MASK",
    "SEPARATE",
    "Batch",
    "ChatTemplate",
    "ExampleBatches",
    "ExampleData",
    "ExampleSplit",
    "ImageTemplate",
    "LabelTemplate",
    "MaskedWindows",
    "PairTemplate",
    "Ragged",
    "Split",
    "Template",
    "TokenData",
    "TrainWindows",
    "check_length",
    "context_pairs",
    "eval_batches",
    "eval_mask",
    "eval_rows",
    "eval_starts",
    "find_chat_format",
    "group_by_length",
    "masked_eval_batches",
    "open_examples",
    "open_tokens",
    "sliding_batches",
    "sliding_masked_batches",
    "write_chat",
    "write_examples",
    "write_tokens",
]
