"""Runs on disk: checkpoints, locks, verification, adapters."""

from glassgpt.checkpoint.abandoned import clear, discard, is_abandoned
from glassgpt.checkpoint.adapter import load_with_adapter, save_adapter
from glassgpt.checkpoint.chosen import chosen_settings
from glassgpt.checkpoint.curve_groups import Band, CurveGroup, Spread, group_curves
from glassgpt.checkpoint.curves import RunCurve, RunLike, XAxis, read_curve, read_curves
from glassgpt.checkpoint.lock import LOCK, OWNER, acquire_lock, is_locked
from glassgpt.checkpoint.run import Run, load_run, load_weights, weights
from glassgpt.checkpoint.run_data import run_examples, run_tokens
from glassgpt.checkpoint.runs_table import NUMBERS, RunsTable, runs
from glassgpt.checkpoint.store import (
    CorruptCheckpoint,
    fingerprint,
    make_folder,
    newest_valid,
    planned_layout,
    prune,
    quarantine,
    read_manifest,
    read_pointer,
    read_progress,
    read_state,
    read_tensors,
    remove_partial_steps,
    save_step,
    step_folder,
    steps,
    verify_step,
    write_json,
    write_pointer,
)
from glassgpt.checkpoint.summary import RunSummary, loss_unit, read_verdict, summarize
from glassgpt.checkpoint.verify import RunHealth, StepHealth, check_data, check_step, quick_check, verify_run

__all__ = [
    "LOCK",
    "NUMBERS",
    "OWNER",
    "Band",
    "CorruptCheckpoint",
    "CurveGroup",
    "Run",
    "RunCurve",
    "RunHealth",
    "RunLike",
    "RunSummary",
    "RunsTable",
    "Spread",
    "StepHealth",
    "XAxis",
    "acquire_lock",
    "check_data",
    "check_step",
    "chosen_settings",
    "clear",
    "discard",
    "fingerprint",
    "group_curves",
    "is_abandoned",
    "is_locked",
    "load_run",
    "load_weights",
    "load_with_adapter",
    "loss_unit",
    "make_folder",
    "newest_valid",
    "planned_layout",
    "prune",
    "quarantine",
    "quick_check",
    "read_curve",
    "read_curves",
    "read_manifest",
    "read_pointer",
    "read_progress",
    "read_state",
    "read_tensors",
    "read_verdict",
    "remove_partial_steps",
    "run_examples",
    "run_tokens",
    "runs",
    "save_adapter",
    "save_step",
    "step_folder",
    "steps",
    "summarize",
    "verify_run",
    "verify_step",
    "weights",
    "write_json",
    "write_pointer",
]
