"""Templates and special tokens by model family, as the tasks declare them."""

from __future__ import annotations

from glassgpt.config import ModelConfig
from glassgpt.data import ImageTemplate, LabelTemplate, PairTemplate, Template
from glassgpt.tasks import TASKS
from glassgpt.tokenizers import Tokenizer

SPECIALS = {
    "encoder": TASKS["masked"].specials,
    "seq2seq": TASKS["translation"].specials,
    "captioner": TASKS["captioning"].specials,
}


def make_template(config: ModelConfig, tokenizer: Tokenizer) -> Template:
    """The template of the family's examples; of an encoder, that of a classifier."""
    match config.family:
        case "seq2seq":
            return PairTemplate(tokenizer)
        case "captioner":
            return ImageTemplate(tokenizer)
        case _:
            return LabelTemplate(tokenizer, config.labels, config.block_size)
