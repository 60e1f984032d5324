"""Text and answers from trained models, by continuous batching."""

from glassgpt.generate.answers import Answer, answer, check_source, classify, translate
from glassgpt.generate.beam import Hypothesis, beam_search
from glassgpt.generate.benchmark import Speed, measure_speed, read_bandwidth, weight_bytes
from glassgpt.generate.chat import chat_prompt, reply
from glassgpt.generate.chat_session import ChatSession, Reply
from glassgpt.generate.completion import Completion, complete, generate, sample_text
from glassgpt.generate.engine import Engine
from glassgpt.generate.fast import Precision, rounded, why_not_native
from glassgpt.generate.fill_mask import Filled, fill, masked_ids
from glassgpt.generate.lines import sample_lines
from glassgpt.generate.next_token import Draw, NextToken
from glassgpt.generate.request import Request, RequestError, Token
from glassgpt.generate.sampling import (
    SamplingParams,
    multinomial,
    probabilities,
    sample_inverse_cdf,
    temperature,
)
from glassgpt.generate.seeds import derived_seed
from glassgpt.generate.speculation import PromptLookup
from glassgpt.generate.text import TextAccumulator, TextStream, stream_text

__all__ = [
    "Answer",
    "ChatSession",
    "Completion",
    "Draw",
    "Engine",
    "Filled",
    "Hypothesis",
    "NextToken",
    "Precision",
    "PromptLookup",
    "Reply",
    "Request",
    "RequestError",
    "SamplingParams",
    "Speed",
    "TextAccumulator",
    "TextStream",
    "Token",
    "answer",
    "beam_search",
    "chat_prompt",
    "check_source",
    "classify",
    "complete",
    "derived_seed",
    "fill",
    "generate",
    "masked_ids",
    "measure_speed",
    "multinomial",
    "probabilities",
    "read_bandwidth",
    "reply",
    "rounded",
    "sample_inverse_cdf",
    "sample_lines",
    "sample_text",
    "stream_text",
    "temperature",
    "translate",
    "weight_bytes",
    "why_not_native",
]
