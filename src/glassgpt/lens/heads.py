"""Summaries of attention heads: their strongest positions and their spread."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from glassgpt.lens.traces import Trace


@dataclass(frozen=True)
class HeadSummary:
    """Mean attention of one head over all queries.

    Shares are from 0 to 1.
    """

    attention: str
    head: int
    spread: float
    """Number of positions with weight: e to the entropy; 1 for a single position."""
    strongest: float
    """Weight of the key with the largest weight."""
    itself: float | None = None
    """Weight of the query's own position. None for cross-attention, as the next two."""
    previous: float | None = None
    """Weight of the previous position."""
    first: float | None = None
    """Weight of the first position."""


def describe_heads(trace: Trace, kind: str | None = None) -> list[HeadSummary]:
    """Summarize every head, or those of one kind (attn, cross, encoder).

    The first query is left out of self-attention: under a causal mask it can only attend to itself.
    """
    kinds = trace.kinds if kind is None else {kind: trace.kinds.get(kind, [])}
    return [
        _describe(trace, path, head)
        for paths in kinds.values()
        for path in paths
        for head in range(len(trace.tensors[f"{path}.weights"]))
    ]


def clearest_head(trace: Trace, kind: str) -> tuple[int, int]:
    """Return layer and number of the head with the largest weights: the easiest to read."""
    summaries = describe_heads(trace, kind)
    best = max(summaries, key=lambda summary: summary.strongest)
    return trace.kinds[kind].index(best.attention), best.head


def _describe(trace: Trace, path: str, head: int) -> HeadSummary:
    weights = trace.tensors[f"{path}.weights"][head].float()  # (T, S)
    is_self = not path.endswith(".cross_attn")
    w = weights[1:] if is_self and len(weights) > 1 else weights
    entropy = -torch.special.xlogy(w, w).sum(-1)  # (T - 1,) or (T,)
    spread, strongest = entropy.exp().mean().item(), w.amax(-1).mean().item()
    if not is_self:
        return HeadSummary(path, head, spread, strongest)
    rows = torch.arange(len(weights))[-len(w) :]  # positions of the queries in w
    previous = w[torch.arange(len(w)), (rows - 1).clamp(min=0)].mean().item()
    itself = w[torch.arange(len(w)), rows].mean().item()
    return HeadSummary(path, head, spread, strongest, itself, previous, w[:, 0].mean().item())
