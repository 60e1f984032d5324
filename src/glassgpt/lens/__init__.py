"""Floor 3, above generate: seeing inside. recording and editing what passes through a model."""

from glassgpt.lens.ablate import Ablation, ablate, held_out_figures
from glassgpt.lens.edits import n_heads, patch, zero, zero_heads
from glassgpt.lens.heads import HeadSummary, clearest_head, describe_heads
from glassgpt.lens.logit_lens import logit_lens
from glassgpt.lens.look import look
from glassgpt.lens.record import Edit, Recording, activations, edit, record
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
