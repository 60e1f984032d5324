"""Traces of a forward pass, summaries of heads, ablation."""

from glassgpt.lens.ablation import (
    EXACT,
    LOSS,
    Ablation,
    Figures,
    ablate,
    answer_parts,
    held_out_figures,
    most_important_head,
)
from glassgpt.lens.heads import HeadSummary, clearest_head, describe_heads
from glassgpt.lens.labels import columns_of, token_labels, visible_label
from glassgpt.lens.traces import LogitLens, Trace
from glassgpt.lens.tracing import read_states, trace

__all__ = [
    "EXACT",
    "LOSS",
    "Ablation",
    "Figures",
    "HeadSummary",
    "LogitLens",
    "Trace",
    "ablate",
    "answer_parts",
    "clearest_head",
    "columns_of",
    "describe_heads",
    "held_out_figures",
    "most_important_head",
    "read_states",
    "token_labels",
    "trace",
    "visible_label",
]
