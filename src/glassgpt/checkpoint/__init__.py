"""Floor 3: runs on disk."""

from glassgpt.checkpoint.adapter import load_with_adapter, save_adapter
from glassgpt.checkpoint.durable import write_json
from glassgpt.checkpoint.examination import examine, glance
from glassgpt.checkpoint.health import RunHealth, StepHealth
from glassgpt.checkpoint.keeping import clear_up, hinted, prune, set_aside, set_hint
from glassgpt.checkpoint.run import Run, load_run, load_weights, weights
from glassgpt.checkpoint.store import (
    BadStep,
    newest_valid,
    read_state,
    read_tensors,
    save_step,
    step_folder,
    steps,
    verify_step,
)
from glassgpt.checkpoint.untrusted import read_json

__all__ = [
    "BadStep",
    "Run",
    "RunHealth",
    "StepHealth",
    "clear_up",
    "examine",
    "glance",
    "hinted",
    "load_run",
    "load_weights",
    "load_with_adapter",
    "newest_valid",
    "prune",
    "read_json",
    "read_state",
    "read_tensors",
    "save_adapter",
    "save_step",
    "set_aside",
    "set_hint",
    "step_folder",
    "steps",
    "verify_step",
    "weights",
    "write_json",
]
