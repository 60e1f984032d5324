"""Which settings of training may change when a run goes on, and what such a change means.

Every setting of `TrainConfig` is in one of the two tables; docs/guide/runs.md shows them to users, and a test
holds all three against each other. Data, tokenizer, model and optimizer never change.
"""

from __future__ import annotations

LENGTH = "the length in all; the learning rate follows the new length from here on"
WATCHING = "the weights are the same"
ROUNDING = "the weights are the same up to rounding, which is said"
POLICY = "what happens from here on"

RESUMABLE: dict[str, str] = {
    "steps": LENGTH,
    "minutes": LENGTH,
    "evals": WATCHING,
    "save_minutes": WATCHING,
    "sample_tokens": WATCHING,
    "tensorboard": WATCHING,
    "trackio": WATCHING,
    "device": ROUNDING,
    "dtype": ROUNDING,
    "compile": ROUNDING,
    "on_nan": POLICY,
    "on_save_error": POLICY,
}
"""Setting → what it means that it changes."""

FIXED: dict[str, str] = {
    "micro_batch_size": "decides which examples a step sees",
    "grad_accum_steps": "decides which examples a step sees",
    "seed": "decides the order of the examples, and dropout",
    "label_smoothing": "decides what is learned",
    "mask_fraction": "decides what is learned",
}
"""Setting → why it cannot change."""
