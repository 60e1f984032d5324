"""Floor 3: writing text with a model."""

from glassgpt.generate.engine import generate, sample_text, stream_text
from glassgpt.generate.sampling import SamplingParams, multinomial, probabilities, sample

__all__ = [
    "SamplingParams",
    "generate",
    "multinomial",
    "probabilities",
    "sample",
    "sample_text",
    "stream_text",
]
