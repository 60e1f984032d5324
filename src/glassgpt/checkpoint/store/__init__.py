"""Checkpoint steps on disk: atomic writes, manifests, shapes, formats, retention."""

from glassgpt.checkpoint.store.atomic import make_folder, sync, sync_above, write_json
from glassgpt.checkpoint.store.header import Spec, TensorPlace, read_header, read_places
from glassgpt.checkpoint.store.lazy import LazyTensors, read_tensor
from glassgpt.checkpoint.store.manifest import PLAIN_NAME, fingerprint, read_manifest
from glassgpt.checkpoint.store.migrate import FORMAT, migrate_config
from glassgpt.checkpoint.store.retention import (
    best_checkpoint,
    prune,
    quarantine,
    read_pointer,
    recorded_best,
    remove_partial_steps,
    write_pointer,
)
from glassgpt.checkpoint.store.shapes import (
    Layout,
    SkipInit,
    check_optimizer,
    check_weights,
    layout,
    planned_layout,
)
from glassgpt.checkpoint.store.step import (
    STEP,
    CorruptCheckpoint,
    newest_valid,
    quick_check_step,
    read_specs,
    read_state,
    read_tensors,
    save_step,
    step_folder,
    step_is_resumable,
    steps,
    verify_step,
)
from glassgpt.checkpoint.store.train_state import TrainState

__all__ = [
    "FORMAT",
    "PLAIN_NAME",
    "STEP",
    "CorruptCheckpoint",
    "Layout",
    "LazyTensors",
    "SkipInit",
    "Spec",
    "TensorPlace",
    "TrainState",
    "best_checkpoint",
    "check_optimizer",
    "check_weights",
    "fingerprint",
    "layout",
    "make_folder",
    "migrate_config",
    "newest_valid",
    "planned_layout",
    "prune",
    "quarantine",
    "quick_check_step",
    "read_header",
    "read_manifest",
    "read_places",
    "read_pointer",
    "read_specs",
    "read_state",
    "read_tensor",
    "read_tensors",
    "recorded_best",
    "remove_partial_steps",
    "save_step",
    "step_folder",
    "step_is_resumable",
    "steps",
    "sync",
    "sync_above",
    "verify_step",
    "write_json",
    "write_pointer",
]
