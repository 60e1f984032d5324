"""Floor 3: runs on disk."""

from glassgpt.checkpoint.run import Run, load_run, load_weights, weights
from glassgpt.checkpoint.store import (
    BadStep,
    hinted,
    newest_valid,
    prune,
    read_state,
    read_tensors,
    save_step,
    set_aside,
    set_hint,
    step_folder,
    steps,
    verify_step,
    write_json,
)

__all__ = [
    "BadStep",
    "Run",
    "hinted",
    "load_run",
    "load_weights",
    "newest_valid",
    "prune",
    "read_state",
    "read_tensors",
    "save_step",
    "set_aside",
    "set_hint",
    "step_folder",
    "steps",
    "verify_step",
    "weights",
    "write_json",
]
