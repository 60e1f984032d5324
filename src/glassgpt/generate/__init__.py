"""Floor 3: what trained models are for: writing on, translating, answering, filling gaps."""

from glassgpt.generate.answering import Answer, Filled, answer, classify, fill, masked_ids, translate
from glassgpt.generate.beam import Hypothesis, beam_search
from glassgpt.generate.chatting import reply, seen
from glassgpt.generate.engine import generate, sample_text, stream_text
from glassgpt.generate.sampling import SamplingParams, multinomial, probabilities, sample

__all__ = [
    "Answer",
    "Filled",
    "Hypothesis",
    "SamplingParams",
    "answer",
    "beam_search",
    "classify",
    "fill",
    "generate",
    "masked_ids",
    "multinomial",
    "probabilities",
    "reply",
    "sample",
    "sample_text",
    "seen",
    "stream_text",
    "translate",
]
