"""Record and edit activations by name; the logit lens."""

from glassgpt.hooks.edits import n_heads, patch, zero, zero_heads
from glassgpt.hooks.hook_points import KERNEL_ACTIVATIONS
from glassgpt.hooks.logits import logit_lens
from glassgpt.hooks.recorder import Edit, Recording, activation_names, edit, record

__all__ = [
    "KERNEL_ACTIVATIONS",
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
