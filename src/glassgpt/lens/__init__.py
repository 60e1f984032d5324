"""Floor 3, above generate: seeing inside. Recording and editing what passes through a model."""

from glassgpt.lens.ablation import Ablation, ablate, held_out_figures
from glassgpt.lens.edits import n_heads, patch, zero, zero_heads
from glassgpt.lens.heads import HeadSummary, clearest_head, describe_heads
from glassgpt.lens.looking import look
from glassgpt.lens.reading import logit_lens
from glassgpt.lens.recorder import Edit, Recording, activations, edit, record
from glassgpt.lens.trace import Reading, Trace

__all__ = [
    "Ablation",
    "Edit",
    "HeadSummary",
    "Reading",
    "Recording",
    "Trace",
    "ablate",
    "activations",
    "clearest_head",
    "describe_heads",
    "edit",
    "held_out_figures",
    "logit_lens",
    "look",
    "n_heads",
    "patch",
    "record",
    "zero",
    "zero_heads",
]
