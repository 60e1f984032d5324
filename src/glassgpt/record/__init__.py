"""Record and edit activations by name; the logit lens. Any model of ours, GPT-2 and Qwen3."""

from glassgpt.record.edits import n_heads, patch, zero, zero_heads
from glassgpt.record.logit_lens import logit_lens
from glassgpt.record.recorder import Edit, Recording, activation_names, edit, record

__all__ = [
    "Edit",
    "Recording",
    "activation_names",
    "edit",
    "logit_lens",
    "n_heads",
    "patch",
    "record",
    "zero",
    "zero_heads",
]
