"""Text and answers from trained models, by continuous batching."""

from glassgpt.generate.answers import Answer, Filled, answer, classify, fill, masked_ids, translate
from glassgpt.generate.beam import Hypothesis, beam_search
from glassgpt.generate.benchmark import Speed, measure_speed, read_bandwidth, weight_bytes
from glassgpt.generate.chat import reply, seen
from glassgpt.generate.chat_session import ChatSession
from glassgpt.generate.completion import Completion, complete, generate, sample_text
from glassgpt.generate.engine import Engine
from glassgpt.generate.fast import Precision, rounded
from glassgpt.generate.request import Request, Token
from glassgpt.generate.sampling import SamplingParams, choose, multinomial, probabilities, sample, temperature
from glassgpt.generate.speculation import PromptLookup
from glassgpt.generate.text import TextStream, stream_text

__all__ = [
    "Answer",
    "ChatSession",
    "Completion",
    "Engine",
    "Filled",
    "Hypothesis",
    "Precision",
    "PromptLookup",
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
    "read_bandwidth",
    "reply",
    "rounded",
    "sample",
    "sample_text",
    "seen",
    "stream_text",
    "temperature",
    "translate",
    "weight_bytes",
]
