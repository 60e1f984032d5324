"""Traces of a forward pass, statistics of heads, ablation."""

from glassgpt.lens.ablation import EXACT, LOSS, Ablation, Figures, ablate, answer_parts, held_out_figures
from glassgpt.lens.heads import HeadSummary, clearest_head, describe_heads
from glassgpt.lens.labels import token_labels
from glassgpt.lens.traces import Reading, Trace
from glassgpt.lens.tracing import look

__all__ = [
    "EXACT",
    "LOSS",
    "Ablation",
    "Figures",
    "HeadSummary",
    "Reading",
    "Trace",
    "ablate",
    "answer_parts",
    "clearest_head",
    "describe_heads",
    "held_out_figures",
    "look",
    "token_labels",
]
