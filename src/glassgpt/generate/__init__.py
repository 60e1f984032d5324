"""Floor 3: what trained models are for: writing on, translating, answering, filling gaps."""

from glassgpt.generate.answering import Answer, Filled, answer, classify, fill, masked_ids, translate
from glassgpt.generate.beam import Hypothesis, beam_search
from glassgpt.generate.chatting import reply, seen
from glassgpt.generate.completing import Completion, complete, generate, sample_text
from glassgpt.generate.drafting import Draft
from glassgpt.generate.engine import Engine
from glassgpt.generate.measuring import Speed, measure_speed
from glassgpt.generate.packing import Precision, rounded
from glassgpt.generate.request import Request, Token
from glassgpt.generate.sampling import SamplingParams, choose, multinomial, probabilities, sample
from glassgpt.generate.text import TextStream, stream_text

__all__ = [
    "Answer",
    "Completion",
    "Draft",
    "Engine",
    "Filled",
    "Hypothesis",
    "Precision",
    "Request",
    "SamplingParams",
    "Speed",
    "TextStream",
    "Token",
    "answer",
    "beam_search",
    "choose",
    "classify",
    "complete",
    "fill",
    "generate",
    "masked_ids",
    "measure_speed",
    "multinomial",
    "probabilities",
    "reply",
    "rounded",
    "sample",
    "sample_text",
    "seen",
    "stream_text",
    "translate",
]
