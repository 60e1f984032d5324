"""Token embeddings over the snapshots of a run, in two dimensions that stay the same at all steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassgpt.checkpoint import Run, read_snapshot, run_tokens, snapshot_steps
from glassgpt.errors import UserError
from glassgpt.lens import token_labels, visible_label
from glassgpt.tokenizers import Tokenizer

NAMES = ("wte.weight", "table.weight", "encoder.wte.weight")
"""Parameters that hold a row for each token, by model family."""
MAX_TOKENS = 150
"""Tokens of the map, the most frequent ones: more names would hide each other."""
COUNTED = 2_000_000
"""Training tokens that are counted."""


def embedding_map(run: Run) -> dict[str, Any]:
    """Return the place of each frequent token at each snapshot.

    The axes are the first two principal components of all embeddings of all steps, around their mean.
    `shares` says how much of the variance each axis holds. Raises UserError for a damaged snapshot.
    """
    tokenizer, planned = run.tokenizer(), run.layout()
    name = next((each for each in NAMES if each in planned.shapes), None)
    ids = frequent_tokens(run, tokenizer)
    steps, rows = [], []
    for step in snapshot_steps(run) if name else []:
        try:
            rows.append(read_snapshot(run, step, planned)[str(name)][ids])
        except UserError:
            if step in snapshot_steps(run):
                raise
            continue  # a training process has removed it meanwhile
        steps.append(step)
    points, shares = principal_components(torch.stack(rows)) if rows else (torch.zeros(0, 0, 2), [0.0, 0.0])
    labels = token_labels(tokenizer, ids)
    return {
        "steps": steps,
        "ids": ids,
        "tokens": [visible_label(label) for label in labels],
        "points": [[[round(v, 6) for v in point] for point in step] for step in points.tolist()],
        "shares": shares,
        "n_vocab": tokenizer.n_vocab,
    }


def principal_components(rows: Tensor) -> tuple[Tensor, list[float]]:
    """Project vectors (S, N, C) onto the two axes of largest variance: (S, N, 2), and the axes' shares of it.

    The largest component of each axis is positive, so the map of a run is always the same.
    """
    centered = rows.double() - rows.double().mean((0, 1))
    flat = centered.flatten(0, 1)  # (S · N, C)
    variances, axes = torch.linalg.eigh(flat.mT @ flat)  # (C,) from the smallest, (C, C) in columns
    axes = axes.flip(1)[:, :2]
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    total = variances.clamp(min=0).sum().clamp(min=1e-30)
    return centered @ axes, (variances.flip(0)[:2].clamp(min=0) / total).tolist()


def frequent_tokens(run: Run, tokenizer: Tokenizer) -> Sequence[int]:
    """Return the most frequent tokens of a run's training data, or the first ids without data."""
    try:
        ids = run_tokens(run, tokenizer.n_vocab).train.ids[:COUNTED]
    except (UserError, OSError):
        return list(range(min(MAX_TOKENS, tokenizer.n_vocab)))
    counts = np.bincount(ids, minlength=tokenizer.n_vocab)
    order = np.argsort(-counts, kind="stable")[:MAX_TOKENS]
    return [int(id) for id in order if counts[id]]
