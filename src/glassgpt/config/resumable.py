"""Training settings that may change when a run resumes, and those that may not.

Every setting of `TrainConfig` is in one of the two tables. docs/guide/runs.md shows them to users; a test
compares all three. Data, tokenizer, model and optimizer never change.
"""

from __future__ import annotations

from glassgpt.language import N_

LENGTH = "the total length; the learning rate follows the new length from now on"
ENDING = "the run may end at another step; the weights of each step are the same"
WATCHING = "the weights are the same"
ROUNDING = "the weights are the same up to rounding; a warning says so"
POLICY = "the reaction to errors from now on"

RESUMABLE: dict[str, str] = {
    "steps": LENGTH,
    "minutes": LENGTH,
    "tokens": LENGTH,
    "max_epochs": LENGTH,
    "patience": ENDING,
    "evals": WATCHING,
    "save_minutes": WATCHING,
    "sample_tokens": WATCHING,
    "snapshots": WATCHING,
    "doctor": WATCHING,
    "tensorboard": WATCHING,
    "trackio": WATCHING,
    "device": ROUNDING,
    "dtype": ROUNDING,
    "threads": ROUNDING,
    "compile": ROUNDING,
    "on_nan": POLICY,
    "on_save_error": POLICY,
}
"""Setting → effect of a change."""

FIXED: dict[str, str] = {
    "micro_batch_size": N_("decides which examples a step sees"),
    "grad_accum_steps": N_("decides which examples a step sees"),
    "seed": N_("decides the order of the examples, and dropout"),
    "label_smoothing": N_("changes the loss"),
    "mask_fraction": N_("changes the loss"),
}
"""Setting → reason why it cannot change."""
